# SPDX-License-Identifier: BSD-3-Clause
# Compiles through ccache. In the depend mode, a source that is not in the cache takes no longer than without it. The sloppiness is what
# ccache needs to accept precompiled headers, and locale, which decides nothing but the language of warnings: tools/test sets another one than
# a developer has. Paths are hashed relative to the checkout, so that checkouts share what they compile.
# In this mode ccache reads the included files after the compiler has. It keeps nothing if one of them is newer than the compiler's start, so
# the sloppiness must not name include_file_mtime or include_file_ctime.
# Where ccache cannot write its cache, as in a home that is read-only or missing, it compiles nothing, so it is left out.
if(POLLUX_COMPILER_CACHE)
  find_program(POLLUX_CCACHE ccache)
  if(POLLUX_CCACHE)
    file(WRITE ${PROJECT_BINARY_DIR}/ccache.cpp "")
    execute_process(COMMAND ${POLLUX_CCACHE} ${CMAKE_CXX_COMPILER} -c ccache.cpp -o ccache.o WORKING_DIRECTORY ${PROJECT_BINARY_DIR}
      RESULT_VARIABLE status ERROR_VARIABLE said)
    if(status EQUAL 0)
      set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_DEPEND=1 CCACHE_SLOPPINESS=pch_defines,time_macros,locale
        CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_PCH_EXTSUM=1
        ${CMAKE_CURRENT_LIST_DIR}/cached-compiler ${POLLUX_CCACHE})
      if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
        # As words of the driver, since ccache makes paths relative only in these.
        set(CMAKE_CXX_COMPILE_OPTIONS_USE_PCH -include-pch <PCH_FILE>)
      endif()
    else()
      message(WARNING "ccache is not used, since it failed: ${said}What to do: set CCACHE_DIR to a folder that can be written to")
    endif()
  endif()
endif()
