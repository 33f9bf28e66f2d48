# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Building with CMake.

# configure SOURCE FOLDER OPTION...: configures a release build. Only with CCACHE_DIR in the environment is a compiler cache used: an
# empty one takes twice the time of precompiled headers, which do not work with it.
configure() {
  local source=$1 folder=$2 launcher=-UCMAKE_CXX_COMPILER_LAUNCHER
  shift 2
  # Always set or unset: the folder may have been configured with a cache that is no longer used.
  [[ -z ${CCACHE_DIR-} ]] || launcher=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache
  mkdir -p "$folder" || die "$folder cannot be created" "$(where_to_build '')"
  run_logged "$folder/configure.log" "read the lines above; if $folder was made on another machine, remove it" \
    cmake -S "$source" -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release "$launcher" "$@"
}

# build_programs FOLDER: builds l2fwd, pktgen and pollux, without tests and benchmarks. Warnings are no errors, since a newer compiler
# may have more of them.
build_programs() {
  local folder=$1
  configure "$POLLUX_ROOT" "$folder" -DPOLLUX_BUILD_TESTS=OFF -DPOLLUX_BUILD_BENCH=OFF -DPOLLUX_WARNINGS_AS_ERRORS=OFF
  run_logged "$folder/build.log" "read the lines above; if memory is short, build with 'cmake --build $folder -j1' first" \
    cmake --build "$folder"
}
