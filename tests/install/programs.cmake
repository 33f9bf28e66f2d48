# SPDX-License-Identifier: BSD-3-Clause
# The installed programs must run without the library's directory in any search path.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
step("forwarding" ${CMAKE_COMMAND} -E env --unset=LD_LIBRARY_PATH ${BINDIR}/l2fwd sim:0 sim:1 --circulate 64 --seconds 1)
if(NOT STEP_OUTPUT MATCHES "received")
  message(FATAL_ERROR "l2fwd said: ${STEP_OUTPUT}")
endif()
step("sending and checking" ${CMAKE_COMMAND} -E env --unset=LD_LIBRARY_PATH ${BINDIR}/pktgen sim:0 sim:1 --count 1000 --check)
step("the help of the plots" ${BINDIR}/pollux-bench-plot --help)
if(EXISTS ${BINDIR}/hello)
  message(FATAL_ERROR "hello is installed, although it is only an example to read")
endif()
