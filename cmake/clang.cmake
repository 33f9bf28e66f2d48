# SPDX-License-Identifier: BSD-3-Clause
# The clang that tools/lib/packages.sh installs, and its linker. Tests use aggregates in parentheses, which need version 16.
find_program(CMAKE_CXX_COMPILER NAMES clang++-16 clang++ REQUIRED)
find_program(CMAKE_C_COMPILER NAMES clang-16 clang REQUIRED)
set(CMAKE_EXE_LINKER_FLAGS_INIT -fuse-ld=lld)
set(CMAKE_SHARED_LINKER_FLAGS_INIT -fuse-ld=lld)
set(CMAKE_MODULE_LINKER_FLAGS_INIT -fuse-ld=lld)
