# SPDX-License-Identifier: BSD-3-Clause
# cmake --install: both libraries, headers, find_package(pollux), pkg-config, l2fwd, pktgen and the pollux command. The installed
# tree may be moved as a whole.
include(CMakePackageConfigHelpers)

install(DIRECTORY include/pollux DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(TARGETS pollux_static pollux_shared pollux_headers EXPORT pollux-targets)
install(EXPORT pollux-targets NAMESPACE pollux:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pollux)
configure_package_config_file(cmake/pollux-config.cmake.in ${PROJECT_BINARY_DIR}/pollux-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pollux)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/pollux-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/pollux-config.cmake ${PROJECT_BINARY_DIR}/pollux-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pollux)
file(RELATIVE_PATH POLLUX_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" POLLUX_PC_PREFIX ${POLLUX_PC_PREFIX})
configure_file(cmake/pollux.pc.in ${PROJECT_BINARY_DIR}/pollux.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/pollux.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
