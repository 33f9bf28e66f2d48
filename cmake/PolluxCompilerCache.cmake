# SPDX-License-Identifier: BSD-3-Clause
# Compiles through ccache. In the depend mode, a source that is not in the cache takes no longer than without it. The sloppiness is what
# ccache needs to accept precompiled headers. Paths are hashed relative to the checkout, so that checkouts share what they compile.
if(POLLUX_COMPILER_CACHE)
  find_program(POLLUX_CCACHE ccache)
  if(POLLUX_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_DEPEND=1 CCACHE_INODECACHE=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${POLLUX_CCACHE})
  endif()
endif()
