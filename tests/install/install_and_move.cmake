# SPDX-License-Identifier: BSD-3-Clause
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
file(REMOVE_RECURSE ${FIRST} ${PREFIX})
# The build of a package may have set DESTDIR, which goes before each prefix.
step("installing" ${CMAKE_COMMAND} -E env --unset=DESTDIR ${CMAKE_COMMAND} --install ${BUILD} --prefix ${FIRST})
cmake_path(GET PREFIX PARENT_PATH folder)
file(MAKE_DIRECTORY ${folder})
file(RENAME ${FIRST} ${PREFIX})
