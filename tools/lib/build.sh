# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Building with CMake; a compiler cache is used where one is installed.

# configure SOURCE FOLDER OPTION...: for a release build.
configure() {
  local source=$1 folder=$2 launcher=-UCMAKE_CXX_COMPILER_LAUNCHER
  shift 2
  # Said either way: the folder may have been configured when a cache was there that is gone now.
  command -v ccache >/dev/null && launcher=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache
  mkdir -p "$folder" || die "$folder cannot be created" "$(where_to_build '')"
  run_logged "$folder/configure.log" "read the lines above; if the folder stems from another machine, remove $folder" \
    cmake -S "$source" -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release "$launcher" "$@"
}

# build_programs FOLDER: l2fwd, pktgen and pollux, without tests and benchmarks. A newer compiler than any that was tried
# may warn of more, which is no reason not to run.
build_programs() {
  local folder=$1
  configure "$POLLUX_ROOT" "$folder" -DPOLLUX_BUILD_TESTS=OFF -DPOLLUX_BUILD_BENCH=OFF -DPOLLUX_WARNINGS_AS_ERRORS=OFF
  run_logged "$folder/build.log" "read the lines above; where memory is short, build with 'cmake --build $folder -j1' first" \
    cmake --build "$folder"
}
