# SPDX-License-Identifier: BSD-3-Clause
# A toolchain for 64-bit Arm on another processor, with Debian's cross compiler; programs run under qemu-user. The compiler and the
# emulator find the libraries in POLLUX_SYSROOT, which tools/lib/arm-sysroot fills.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

set(POLLUX_SYSROOT "${CMAKE_CURRENT_LIST_DIR}/../build/aarch64-sysroot" CACHE PATH "Libraries and headers for Arm")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES POLLUX_SYSROOT)
get_filename_component(sysroot "${POLLUX_SYSROOT}" ABSOLUTE)
set(CMAKE_SYSROOT "${sysroot}")
# The emulator keeps a record of each page, so a process gets 32 GiB of address space: a Context reserves what is granted, up to 64 GiB.
# 8 GiB had no gap of 1 GiB after a hundred tests, and tests with addresses beyond 6 GiB had none.
# The space begins at a multiple of 1 GiB, since huge pages would not be aligned for the host at the emulator's default address.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64;-L;${sysroot};-R;32G;-B;0x400000000)

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_DIR} "")
set(ENV{PKG_CONFIG_LIBDIR} "${sysroot}/usr/lib/aarch64-linux-gnu/pkgconfig:${sysroot}/usr/share/pkgconfig")
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${sysroot}")
