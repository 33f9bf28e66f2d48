# SPDX-License-Identifier: BSD-3-Clause
# Builds and runs a program in C against the installed library.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
if(METHOD STREQUAL "find_package")
  step("configuring" ${CMAKE_COMMAND} -S ${CONSUMER} -B ${WORK} -G ${GENERATOR} -DCMAKE_C_COMPILER=${COMPILER} -DCMAKE_PREFIX_PATH=${PREFIX}
    -DSOURCE=${SOURCE})
  step("building" ${CMAKE_COMMAND} --build ${WORK})
else()
  find_program(PKG_CONFIG NAMES pkg-config pkgconf REQUIRED)
  step("asking pkg-config" ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${LIBDIR}/pkgconfig ${PKG_CONFIG} --cflags --libs pollux-c)
  separate_arguments(options UNIX_COMMAND "${STEP_OUTPUT}")
  step("building" ${COMPILER} -std=c11 ${SOURCE} -o ${WORK}/consumer ${options})
endif()
step("running" ${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${LIBDIR} ${WORK}/consumer)
if(NOT STEP_OUTPUT MATCHES "sim:3: 60 bytes, Hello")
  message(FATAL_ERROR "the program printed '${STEP_OUTPUT}'")
endif()
