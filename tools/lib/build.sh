# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Building with CMake; a compiler cache is used where one is installed.

# build_programs FOLDER: l2fwd, pktgen and pollux in release, without tests and benchmarks. A newer compiler than any that
# was tried may warn of more, which is no reason not to run.
build_programs() {
  local folder=$1 launcher=()
  command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  mkdir -p "$folder" || die "cannot create $folder" "is the project's folder writable?"
  run_logged "$folder/configure.log" "read the lines above; if the folder stems from another machine, remove $folder" \
    cmake -S "$POLLUX_ROOT" -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DPOLLUX_BUILD_TESTS=OFF -DPOLLUX_BUILD_BENCH=OFF -DPOLLUX_WARNINGS_AS_ERRORS=OFF "${launcher[@]}"
  run_logged "$folder/build.log" "read the lines above; where memory is short, build with 'cmake --build $folder -j1' first" \
    cmake --build "$folder"
}
