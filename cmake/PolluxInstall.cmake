# SPDX-License-Identifier: BSD-3-Clause
# cmake --install: the libraries, headers, find_package(pollux), pkg-config, documents, l2fwd, pktgen and the pollux command. The
# installed tree may be moved as a whole.
include(CMakePackageConfigHelpers)

install(DIRECTORY include/pollux DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")
# Help texts and messages name them.
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md" PATTERN "*.svg" PATTERN "*.yml")
# Each component has an export set of its own, so that a package of the core alone is complete.
function(pollux_export set)
  install(TARGETS ${ARGN} EXPORT pollux-${set}-targets)
  install(EXPORT pollux-${set}-targets NAMESPACE pollux:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pollux)
endfunction()
pollux_export(headers pollux_headers)
pollux_export(all pollux_static pollux_shared)
foreach(component IN LISTS POLLUX_COMPONENTS)
  if(TARGET pollux_part_${component})
    pollux_export(${component} pollux_part_${component})
  endif()
endforeach()
# The library for C is a package of its own, which needs nothing of the others.
install(TARGETS pollux_for_c EXPORT pollux-c)
install(EXPORT pollux-c FILE pollux-c-config.cmake NAMESPACE pollux:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pollux-c)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/pollux-c-config-version.cmake COMPATIBILITY AnyNewerVersion)
install(FILES ${PROJECT_BINARY_DIR}/pollux-c-config-version.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pollux-c)
configure_package_config_file(cmake/pollux-config.cmake.in ${PROJECT_BINARY_DIR}/pollux-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pollux)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/pollux-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/pollux-config.cmake ${PROJECT_BINARY_DIR}/pollux-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pollux)
file(RELATIVE_PATH POLLUX_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" POLLUX_PC_PREFIX ${POLLUX_PC_PREFIX})
# The macros of some distributions give absolute folders.
file(RELATIVE_PATH POLLUX_PC_LIBDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH POLLUX_PC_INCLUDEDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
# pollux_pkg_config(NAME, what is linked with it, and with it if it is static)
function(pollux_pkg_config PC_NAME PC_REQUIRES PC_LIBS PC_REQUIRES_PRIVATE PC_LIBS_PRIVATE)
  set(PC_CXX_FLAGS " -DPOLLUX_CHECKED=${POLLUX_IS_CHECKED} -std=c++20")
  if(PC_NAME STREQUAL "pollux-c")
    set(PC_CXX_FLAGS "")
  endif()
  configure_file(cmake/pollux.pc.in ${PROJECT_BINARY_DIR}/${PC_NAME}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${PC_NAME}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
pollux_pkg_config(pollux "" "-lpollux" "libpci fmt" "-lpcap -lnuma -ldl -lpthread")
pollux_pkg_config(pollux-c "" "-lpollux-c" "" "")
pollux_pkg_config(pollux-core "fmt" "-lpollux-core -lnuma -ldl -lpthread" "" "")
pollux_pkg_config(pollux-laboratory "pollux-core" "-lpollux-laboratory -lpcap" "" "")
pollux_pkg_config(pollux-dataplane "pollux-core" "-lpollux-dataplane" "" "")
pollux_pkg_config(pollux-observe "pollux-core" "-lpollux-observe -lpcap" "" "")
pollux_pkg_config(pollux-host "pollux-core libpci" "-lpollux-host" "" "")
