# SPDX-License-Identifier: BSD-3-Clause
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
file(REMOVE_RECURSE ${WORK})
string(REPLACE "," ";" COMPONENTS "${COMPONENTS}")
set(configure ${CMAKE_COMMAND} -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_PREFIX_PATH=${PREFIX} -DCMAKE_BUILD_TYPE=Debug)
step("configuring" ${configure} -S ${CONSUMER} -B ${WORK}/cmake "-DCOMPONENTS=${COMPONENTS}")
step("building" ${CMAKE_COMMAND} --build ${WORK}/cmake)
set(KIND static)
run_consumer(${WORK}/cmake/consumer)
if(COMPONENTS STREQUAL "core")
  step("running with the core alone" ${WORK}/cmake/consumer)
  if(NOT STEP_OUTPUT MATCHES "unknown scheme 'sim': link the component pollux::laboratory")
    message(FATAL_ERROR "without the laboratory 'sim:0' should name it: ${STEP_OUTPUT}")
  endif()
  # The loader and what the kernel maps are no libraries of the program.
  step("listing the libraries" ldd ${WORK}/cmake/consumer)
  string(REGEX MATCHALL "[^ \t\n]+ =>" libraries "${STEP_OUTPUT}")
  list(LENGTH libraries count)
  if(count GREATER 6 OR STEP_OUTPUT MATCHES "libpci|libpcap")
    message(FATAL_ERROR "the core needs more than six libraries, or libpci or libpcap:\n${STEP_OUTPUT}")
  endif()
endif()

# The same by pkg-config.
file(MAKE_DIRECTORY ${WORK}/pkg-config)
find_program(PKG_CONFIG NAMES pkg-config pkgconf REQUIRED)
list(TRANSFORM COMPONENTS PREPEND pollux- OUTPUT_VARIABLE modules)
step("asking pkg-config" ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${LIBDIR}/pkgconfig ${PKG_CONFIG} --cflags --libs ${modules})
separate_arguments(options UNIX_COMMAND "${STEP_OUTPUT}")
if(COMPONENTS MATCHES "laboratory")
  list(PREPEND options -DWITH_LABORATORY)
endif()
step("building" ${COMPILER} -O1 ${CONSUMER}/main.cpp ${options} -o ${WORK}/pkg-config/consumer)
run_consumer(${WORK}/pkg-config/consumer)

# The installed files name no library by its path, which differs between systems.
file(GLOB targets ${LIBDIR}/cmake/pollux/*.cmake)
foreach(file IN LISTS targets)
  file(STRINGS ${file} paths REGEX "LINK.*[;\"]/")
  if(paths)
    message(FATAL_ERROR "${file} has absolute paths: ${paths}")
  endif()
endforeach()

# What follows depends on no component.
if(NOT COMPONENTS STREQUAL "core")
  return()
endif()

# A program may do without what is not complete.
file(WRITE ${WORK}/optional/CMakeLists.txt "cmake_minimum_required(VERSION 3.25)\nproject(optional LANGUAGES CXX)
find_package(pollux)\nmessage(STATUS \"\${pollux_NOT_FOUND_MESSAGE}\")\n")
step("configuring without pkg-config's files" ${CMAKE_COMMAND} -E env PKG_CONFIG_LIBDIR=${WORK}/none
  ${configure} -S ${WORK}/optional -B ${WORK}/optional/build)
if(NOT STEP_OUTPUT MATCHES "pkg-config does not find numa")
  message(FATAL_ERROR "what is missing should be named: ${STEP_OUTPUT}")
endif()

# So it may without an optional component, whatever the reason.
file(WRITE ${WORK}/lacking/CMakeLists.txt "cmake_minimum_required(VERSION 3.25)\nproject(lacking LANGUAGES CXX)
find_package(pollux REQUIRED COMPONENTS core OPTIONAL_COMPONENTS cores host)
message(STATUS \"core \${pollux_core_FOUND}, cores \${pollux_cores_FOUND}, host \${pollux_host_FOUND}\")\n")
step("configuring with optional components" ${configure} -S ${WORK}/lacking -B ${WORK}/lacking/build)
if(NOT STEP_OUTPUT MATCHES "core TRUE, cores FALSE, host TRUE")
  message(FATAL_ERROR "optional components should be found or not, each by itself: ${STEP_OUTPUT}")
endif()

# What cannot work is refused while CMake configures.
function(refused what says)
  file(WRITE ${WORK}/wrong/CMakeLists.txt "cmake_minimum_required(VERSION 3.25)\nproject(wrong LANGUAGES CXX)\n${ARGN}")
  execute_process(COMMAND ${configure} -S ${WORK}/wrong -B ${WORK}/wrong/build RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(status EQUAL 0 OR NOT output MATCHES "${says}")
    message(FATAL_ERROR "${what} should be refused with '${says}':\n${output}")
  endif()
endfunction()
refused("an unknown component" "no component 'cores'" "find_package(pollux REQUIRED COMPONENTS cores)\n")
refused("the whole library beside a component" "POLLUX_PARTS"
  "find_package(pollux REQUIRED)\nfile(TOUCH a.cpp)\nadd_executable(a a.cpp)\ntarget_link_libraries(a pollux::pollux pollux::core)\n")
