# SPDX-License-Identifier: BSD-3-Clause
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
file(REMOVE_RECURSE ${WORK})
step("configuring" ${CMAKE_COMMAND} -S ${CONSUMER} -B ${WORK} -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
  -DCMAKE_PREFIX_PATH=${PREFIX} -DKIND=${KIND} -DEXPECTED_CHECKED=${CHECKED} -DCMAKE_BUILD_TYPE=Debug)
step("building" ${CMAKE_COMMAND} --build ${WORK})
run_consumer(${WORK}/consumer)
