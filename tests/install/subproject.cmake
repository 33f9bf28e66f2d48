# SPDX-License-Identifier: BSD-3-Clause
# Another project includes this one as a folder, as FetchContent does: it has the same targets as after find_package, and the other
# project keeps its settings. Nothing is built, since that would be the whole library again.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
file(REMOVE_RECURSE ${WORK})
file(WRITE ${WORK}/CMakeLists.txt "cmake_minimum_required(VERSION 3.25)
project(outer LANGUAGES CXX)
add_subdirectory(${POLLUX} pollux)
add_library(whole OBJECT outer.cpp)
target_link_libraries(whole PRIVATE pollux::pollux)
add_library(parts OBJECT outer.cpp)
target_link_libraries(parts PRIVATE pollux::core pollux::laboratory pollux::dataplane pollux::observe pollux::host)
message(STATUS \"the build type is '\${CMAKE_BUILD_TYPE}'\")
")
file(TOUCH ${WORK}/outer.cpp)
set(configure ${CMAKE_COMMAND} -DCMAKE_CXX_COMPILER=${COMPILER})
set(root ${WORK}/root)
step("configuring" ${configure} -G Ninja -S ${WORK} -B ${WORK}/build
  -DCMAKE_INSTALL_PREFIX=${root} -DCMAKE_INSTALL_LIBDIR=${root}/lib64 -DCMAKE_INSTALL_INCLUDEDIR=${root}/headers)
if(NOT STEP_OUTPUT MATCHES "the build type is ''")
  message(FATAL_ERROR "the other project's build type was changed: ${STEP_OUTPUT}")
endif()

# The folders of the libraries and headers may be absolute, as some distributions give them.
file(COPY ${WORK}/build/pollux/pollux-core.pc DESTINATION ${root}/lib64/pkgconfig)
find_program(PKG_CONFIG NAMES pkg-config pkgconf REQUIRED)
step("asking pkg-config" ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${root}/lib64/pkgconfig ${PKG_CONFIG} --cflags --libs pollux-core)
separate_arguments(options UNIX_COMMAND "${STEP_OUTPUT}")
foreach(option IN LISTS options)
  if(option MATCHES "^-[LI](.*pkgconfig.*)")
    file(REAL_PATH ${CMAKE_MATCH_1} folder)
    list(APPEND folders ${folder})
  endif()
endforeach()
file(REAL_PATH ${root} root)
if(NOT folders STREQUAL "${root}/headers;${root}/lib64")
  message(FATAL_ERROR "the folders should be ${root}/headers and ${root}/lib64: ${STEP_OUTPUT}")
endif()

# An installed library has the checks of one build type.
execute_process(COMMAND ${configure} -G "Ninja Multi-Config" -S ${POLLUX} -B ${WORK}/several RESULT_VARIABLE status ERROR_VARIABLE errors OUTPUT_QUIET)
if(status EQUAL 0 OR NOT errors MATCHES "use Ninja")
  message(FATAL_ERROR "a build of several types should be refused: ${errors}")
endif()
