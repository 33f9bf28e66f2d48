# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Building with CMake.

# configure SOURCE FOLDER OPTION...: configures a release build. If ccache is installed, it is used.
configure() {
  local source=$1 folder=$2
  shift 2
  mkdir -p "$folder" || die "$folder cannot be created" "$(where_to_build '')"
  run_logged "$folder/configure.log" "read the lines above; if $folder was made on another machine, remove it" \
    cmake -S "$source" -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release -DPOLLUX_COMPILER_CACHE=ON "$@"
}

# build_programs FOLDER: builds l2fwd, pktgen and pollux, without tests and benchmarks. Warnings are no errors, since a newer compiler
# may have more of them.
build_programs() {
  local folder=$1
  configure "$POLLUX_ROOT" "$folder" -DPOLLUX_BUILD_TESTS=OFF -DPOLLUX_BUILD_BENCH=OFF -DPOLLUX_WARNINGS_AS_ERRORS=OFF \
    -DPOLLUX_TOGETHER=programs
  run_logged "$folder/build.log" "read the lines above; if memory is short, build with 'cmake --build $folder -j1' first" \
    cmake --build "$folder"
}
