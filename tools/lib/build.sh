# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Building with CMake.

# configure SOURCE FOLDER OPTION...: configures a release build. If ccache is installed, it is used.
configure() {
  local source=$1 folder=$2
  shift 2
  mkdir -p "$folder" || die "$folder cannot be created" "$(where_to_build '')"
  run_logged "$folder/configure.log" "read the lines above; $(where_it_was_made "$folder")" \
    cmake -S "$source" -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release -DPOLLUX_COMPILER_CACHE=ON "$@"
}

# where_it_was_made FOLDER: what may be wrong with a build folder that CMake refuses.
where_it_was_made() { echo "if $1 was made by a checkout in another place or with another compiler, remove it"; }
