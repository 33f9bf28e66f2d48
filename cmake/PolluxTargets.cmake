# SPDX-License-Identifier: BSD-3-Clause
# How the project's targets are made: one object library for each layer, joined into the static and the shared library.

add_library(pollux_options INTERFACE)
target_compile_options(pollux_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor
  -Woverloaded-virtual -Wcast-align -fno-semantic-interposition
  $<$<BOOL:${POLLUX_WARNINGS_AS_ERRORS}>:-Werror>
  # GCC 12 warns of impossible overlaps in the concatenation of short strings (GCC bug 105651).
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)
if(POLLUX_SANITIZE)
  target_compile_options(pollux_options INTERFACE -fsanitize=${POLLUX_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(pollux_options INTERFACE -fsanitize=${POLLUX_SANITIZE})
  # Accesses beyond an object are what the address sanitizer detects. A sixth of the library's compile time.
  if(POLLUX_SANITIZE MATCHES "address")
    target_compile_options(pollux_options INTERFACE -fno-sanitize=object-size)
  endif()
  # Another quarter. What is read or written through them is still checked.
  if(NOT POLLUX_SANITIZE_POINTERS)
    target_compile_options(pollux_options INTERFACE -fno-sanitize=null,alignment,pointer-overflow)
  endif()
  # With a sanitizer the first three of these warnings are false: its interceptors confuse GCC's flow analysis.
  # GCC also warns that the thread sanitizer does not support fences.
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_compile_options(pollux_options INTERFACE -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds -Wno-tsan)
  endif()
endif()

# pollux_sanitize_c(TARGET): a target in C that uses the library. The runtime of the undefined behaviour sanitizer has parts for C++, which the
# library needs, and which only a linker for C++ adds to a program.
function(pollux_sanitize_c target)
  if(POLLUX_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${POLLUX_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(${target} PRIVATE -fsanitize=${POLLUX_SANITIZE})
    set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
  endif()
endfunction()

# Code that handles no frames is compiled with few optimisations. GCC 13 and newer reject headers that were precompiled with other ones.
set(POLLUX_QUICK "")
if(CMAKE_BUILD_TYPE STREQUAL Release AND CMAKE_CXX_FLAGS_RELEASE MATCHES "-O[23]"
   AND NOT (POLLUX_TOGETHER AND CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13))
  set(POLLUX_QUICK -O1)
endif()

# What users run is hardened: docs/security.md. POLLUX_UNPROTECTED takes what costs instructions off the files of the hot path. They keep
# shadow stacks, which a program has only if all of its objects do. The macros are those of the other files, so that all share precompiled
# headers. Sanitizers have checks of their own.
include(CheckCXXCompilerFlag)
add_library(pollux_hardening INTERFACE)
set(POLLUX_UNPROTECTED "")
if(NOT CMAKE_BUILD_TYPE STREQUAL Debug AND NOT POLLUX_SANITIZE)
  target_link_options(pollux_hardening INTERFACE LINKER:-z,relro LINKER:-z,now)
  target_compile_options(pollux_hardening INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  function(pollux_harden known on)  # the options of the hot path follow
    check_cxx_compiler_flag(${on} ${known})  # some are for some processors only
    if(${known})
      target_compile_options(pollux_hardening INTERFACE ${on})
      set(POLLUX_UNPROTECTED ${POLLUX_UNPROTECTED} ${ARGN} PARENT_SCOPE)
    endif()
  endfunction()
  pollux_harden(POLLUX_HAS_CANARIES -fstack-protector-strong -fno-stack-protector -D__SSP_STRONG__=3)
  pollux_harden(POLLUX_HAS_CLASH_PROTECTION -fstack-clash-protection -fno-stack-clash-protection)
  pollux_harden(POLLUX_HAS_CET -fcf-protection=full -fcf-protection=return -U__CET__ -D__CET__=3)
endif()

separate_arguments(POLLUX_TEST_FLAGS)
add_library(pollux_test_options INTERFACE)
target_compile_options(pollux_test_options INTERFACE ${POLLUX_TEST_FLAGS})
separate_arguments(POLLUX_PROGRAM_FLAGS)
add_library(pollux_program_options INTERFACE)
target_compile_options(pollux_program_options INTERFACE ${POLLUX_PROGRAM_FLAGS})

# Only the library's lines are counted, so only its objects are instrumented. Programs that link them need the runtime. The counters are
# not atomic, which would make the tests three times as slow: whether a line ran is known even where threads lose counts.
add_library(pollux_coverage INTERFACE)
if(POLLUX_BUILD_FUZZERS)
  target_compile_options(pollux_coverage INTERFACE -fsanitize=fuzzer-no-link)  # libFuzzer follows the library's branches
  target_link_options(pollux_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(POLLUX_COVERAGE)
  target_compile_options(pollux_coverage INTERFACE --coverage)
  target_link_options(pollux_options INTERFACE --coverage)
endif()

# The public headers and their dependencies. POLLUX_CHECKED is part of the interface, since inline code depends on it. An installed
# library keeps the value that it was built with, for any build type of a program.
if(POLLUX_CHECKED OR CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(POLLUX_IS_CHECKED 1)
else()
  set(POLLUX_IS_CHECKED 0)
endif()
add_library(pollux_headers INTERFACE)
target_include_directories(pollux_headers INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(pollux_headers INTERFACE cxx_std_20)
target_compile_definitions(pollux_headers INTERFACE
  $<BUILD_INTERFACE:POLLUX_CHECKED=$<IF:$<OR:$<BOOL:${POLLUX_CHECKED}>,$<CONFIG:Debug>>,1,0>>
  $<INSTALL_INTERFACE:POLLUX_CHECKED=${POLLUX_IS_CHECKED}>)

# The components, each after those that it needs. Layers of `built_in` and `built_in_core` are what the whole library and the core open.
set(POLLUX_COMPONENTS core laboratory dataplane observe host)

# pollux_layer(NAME base COMPONENT core [SELDOM] FRAMES a.cpp ... CONTROL b.cpp ... LINK PkgConfig::LIBPCI ...): a part of a component of the library.
# FRAMES: the sources that handle frames of an application. CONTROL: the others, which release builds compile with few optimisations.
# SELDOM: even tests run CONTROL for so short that builds with sanitizers compile it without optimisations, in less than half of the time.
function(pollux_layer)
  cmake_parse_arguments(LAYER "SELDOM" "NAME;COMPONENT" "FRAMES;CONTROL;LINK" ${ARGN})
  set(target pollux_${LAYER_NAME})
  add_library(${target} OBJECT ${LAYER_FRAMES} ${LAYER_CONTROL})
  # Both libraries consist of the same objects; the exports of the shared one are marked POLLUX_API.
  set_target_properties(${target} PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/lib)
  target_link_libraries(${target} PUBLIC pollux_headers tl::expected PRIVATE pollux_options pollux_hardening pollux_coverage fmt::fmt Threads::Threads ${LAYER_LINK})
  if(POLLUX_QUICK)
    set_property(SOURCE ${LAYER_CONTROL} APPEND PROPERTY COMPILE_OPTIONS ${POLLUX_QUICK})
  endif()
  if(LAYER_SELDOM AND POLLUX_SANITIZE AND NOT CMAKE_CXX_FLAGS_DEBUG MATCHES "-O0")
    # Clang rejects headers that were precompiled with other optimisations.
    set_property(SOURCE ${LAYER_CONTROL} APPEND PROPERTY COMPILE_OPTIONS -O0)
    set_property(SOURCE ${LAYER_CONTROL} PROPERTY SKIP_PRECOMPILE_HEADERS ON)
  endif()
  if(LAYER_FRAMES AND POLLUX_UNPROTECTED)
    set_property(SOURCE ${LAYER_FRAMES} APPEND PROPERTY COMPILE_OPTIONS ${POLLUX_UNPROTECTED})
    if(CMAKE_CXX_COMPILER_ID MATCHES Clang)  # it rejects headers that were precompiled with another -fcf-protection
      set_property(SOURCE ${LAYER_FRAMES} PROPERTY SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endif()
  if(POLLUX_TOGETHER)
    pollux_compile_together(${target})
    get_property(owner GLOBAL PROPERTY POLLUX_LAYER_HEADERS)  # the first of these layers
    if(NOT owner)
      set(owner ${target})
      set_property(GLOBAL PROPERTY POLLUX_LAYER_HEADERS ${owner})
    endif()
    pollux_share_headers(${target} ${owner})
  endif()
  set_property(GLOBAL APPEND PROPERTY POLLUX_${LAYER_COMPONENT}_OBJECTS $<TARGET_OBJECTS:${target}>)
  set_property(GLOBAL APPEND PROPERTY POLLUX_${LAYER_COMPONENT}_LINKS ${LAYER_LINK})
endfunction()

# pollux_binary(TARGET static|shared NAME COMPONENT...): a library of the layers of these components.
function(pollux_binary target kind name)
  set(objects "")
  set(links "")
  foreach(component IN LISTS ARGN)
    get_property(some GLOBAL PROPERTY POLLUX_${component}_OBJECTS)
    list(APPEND objects ${some})
    get_property(some GLOBAL PROPERTY POLLUX_${component}_LINKS)
    list(APPEND links ${some})
  endforeach()
  list(REMOVE_DUPLICATES links)
  string(TOUPPER ${kind} type)
  add_library(${target} ${type} ${objects})
  target_link_libraries(${target} PUBLIC pollux_headers tl::expected PRIVATE $<BUILD_INTERFACE:pollux_options> $<BUILD_INTERFACE:pollux_hardening> fmt::fmt Threads::Threads ${links} ${CMAKE_DL_LIBS})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name})
endfunction()

# pollux_c_library(): the interface for C, with all of the library in itself but `host`, whose libpci is under the GPL. Its soname is that of
# its own interface, so it has no symbols but those.
function(pollux_c_library)
  pollux_binary(pollux_for_c shared pollux-c core laboratory dataplane observe built_in c)
  set_target_properties(pollux_for_c PROPERTIES VERSION 1.${PROJECT_VERSION} SOVERSION 1 EXPORT_NAME c)
  set(exports ${PROJECT_SOURCE_DIR}/cmake/exports-c.map)
  target_link_options(pollux_for_c PRIVATE LINKER:--version-script=${exports})
  set_target_properties(pollux_for_c PROPERTIES LINK_DEPENDS ${exports})
  # What C programs need of it.
  set_property(TARGET pollux_for_c PROPERTY INTERFACE_LINK_LIBRARIES "")
  target_include_directories(pollux_for_c INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  add_library(pollux::c ALIAS pollux_for_c)
endfunction()

# pollux_libraries(): makes the whole library, static and shared, and the components, which are static.
function(pollux_libraries)
  foreach(kind static shared)
    pollux_binary(pollux_${kind} ${kind} pollux ${POLLUX_COMPONENTS} built_in)
    set_target_properties(pollux_${kind} PROPERTIES EXPORT_NAME ${kind} INTERFACE_POLLUX_PARTS whole)
    add_library(pollux::${kind} ALIAS pollux_${kind})
  endforeach()
  target_link_options(pollux_shared PRIVATE LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/exports.map)
  set_target_properties(pollux_shared PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/exports.map)
  set_target_properties(pollux_shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  add_library(pollux::pollux ALIAS pollux_static)
  pollux_c_library()
  if(POLLUX_SANITIZE)
    return()  # such libraries are not installed
  endif()
  foreach(component IN LISTS POLLUX_COMPONENTS)
    set(target pollux_part_${component})
    if(component STREQUAL core)
      pollux_binary(${target} static pollux-core core built_in_core)
    else()
      pollux_binary(${target} static pollux-${component} ${component})
      target_link_libraries(${target} PUBLIC pollux_part_core)
    endif()
    # A program with the whole library and a component would have two of each symbol, so CMake rejects it.
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${component} INTERFACE_POLLUX_PARTS components)
    add_library(pollux::${component} ALIAS ${target})
  endforeach()
  set_property(TARGET pollux_static pollux_shared pollux_part_core APPEND PROPERTY COMPATIBLE_INTERFACE_STRING POLLUX_PARTS)
endfunction()

# pollux_program_part(TARGET [QUICK]): settings of a program, or of a library that programs share. QUICK: it handles no frames, so it
# is compiled with few optimisations.
function(pollux_program_part target)
  cmake_parse_arguments(PART "QUICK" "" "" ${ARGN})
  target_link_libraries(${target} PRIVATE pollux_hardening)
  if(PART_QUICK)
    target_compile_options(${target} PRIVATE ${POLLUX_QUICK})
  endif()
  if(NOT POLLUX_TOGETHER)
    return()
  endif()
  pollux_compile_together(${target})
  # Libraries and programs share precompiled headers, so both need position-independent code of the same kind.
  target_compile_options(${target} PRIVATE -fPIC)
  if(NOT TARGET pollux_program_headers)
    file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/program_headers.cpp CONTENT "")
    add_library(pollux_program_headers STATIC ${PROJECT_BINARY_DIR}/program_headers.cpp)
    target_link_libraries(pollux_program_headers PRIVATE pollux::pollux pollux_options pollux_hardening pollux_program_options fmt::fmt
      nlohmann_json::nlohmann_json spdlog::spdlog)
    pollux_share_headers(pollux_program_headers pollux_program_headers <nlohmann/json.hpp> <spdlog/logger.h>)
  endif()
  target_link_libraries(${target} PRIVATE fmt::fmt spdlog::spdlog)  # the headers were precompiled with their definitions
  pollux_share_headers(${target} pollux_program_headers)
endfunction()

# pollux_program(NAME l2fwd [QUICK] SOURCES main.cpp ... LINK pollux_l2fwd ...): an example or a tool.
function(pollux_program)
  cmake_parse_arguments(PROGRAM "QUICK" "NAME" "SOURCES;LINK" ${ARGN})
  set(quick "")
  if(PROGRAM_QUICK)
    set(quick QUICK)
  endif()
  add_executable(${PROGRAM_NAME} ${PROGRAM_SOURCES})
  target_link_libraries(${PROGRAM_NAME} PRIVATE pollux::pollux pollux_options pollux_program_options ${PROGRAM_LINK})
  pollux_program_part(${PROGRAM_NAME} ${quick})
endfunction()

# pollux_test_program(NAME a_test.cpp ...): a GoogleTest program, which can include the library's private headers.
function(pollux_test_program target)
  add_executable(${target} ${ARGN})
  pollux_test_part(${target})
endfunction()

# pollux_test_part(TARGET): a test program, or a library of sources that several of them have.
function(pollux_test_part target)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/lib ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${target} PRIVATE pollux::pollux pollux_options fmt::fmt GTest::gmock GTest::gtest_main
    Threads::Threads pollux_test_options)
  if(POLLUX_TOGETHER)
    pollux_compile_together(${target})
    if(NOT TARGET pollux_test_headers)
      file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/test_headers.cpp CONTENT "int main() {}\n")
      pollux_test_program(pollux_test_headers ${PROJECT_BINARY_DIR}/test_headers.cpp)
    endif()
    pollux_share_headers(${target} pollux_test_headers <gmock/gmock.h> <gtest/gtest.h>)
  endif()
endfunction()

# pollux_busy_sources(a.cpp ...): sources of tests that compute for so long that optimising them takes less time than it saves. Without the
# precompiled headers, since clang rejects those of other optimisations.
function(pollux_busy_sources)
  if(POLLUX_TEST_FLAGS MATCHES "-O0" AND NOT POLLUX_SANITIZE STREQUAL "thread")
    set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS -O1)
    set_property(SOURCE ${ARGN} PROPERTY SKIP_PRECOMPILE_HEADERS ON)
  endif()
endfunction()

# pollux_unit_test(mem a_test.cpp ... [THREADS a_test.cpp ...] [EXCEPT PATTERN...] [SHARDS n]): one GoogleTest program, which is one
# ctest test. THREADS: the sources with several threads; they make a second program (POLLUX_THREADED_CASES), which always runs under
# the thread sanitizer. EXCEPT: cases that are not run. SHARDS: as below.
set(POLLUX_THREADED_CASES *Thread* *BurstGate* *StoppingWhilePolled*)
function(pollux_unit_test name)
  cmake_parse_arguments(TEST "" "SHARDS" "THREADS;EXCEPT" ${ARGN})
  pollux_test_program(${name}_test ${TEST_UNPARSED_ARGUMENTS})
  if(TEST_THREADS AND POLLUX_SANITIZE STREQUAL "thread")
    pollux_test_program(${name}_threads_test ${TEST_THREADS})
    if(NOT TARGET threaded_tests)
      add_custom_target(threaded_tests)
    endif()
    add_dependencies(threaded_tests ${name}_threads_test)
    pollux_cases_test(${name}.threads ${name}_threads_test PREFIX ${name} ONLY ${POLLUX_THREADED_CASES} LABELS threads)
    list(APPEND TEST_EXCEPT ${POLLUX_THREADED_CASES})
  endif()
  pollux_cases_test(${name} ${name}_test PREFIX ${name} EXCEPT ${TEST_EXCEPT} SHARDS ${TEST_SHARDS})
endfunction()

# pollux_cases_test(ENTRY target PREFIX p [ONLY PATTERN...] [EXCEPT PATTERN...] [SHARDS n] [LABELS l...]): a ctest test that
# runs cases of a GoogleTest program in one process, since starting the program costs more time than most cases. Each case
# counts by itself, as PREFIX.SUITE.CASE. Patterns are those of GoogleTest. SHARDS splits it into several tests that run in parallel.
# An entry that POLLUX_UNBUILT_TESTS names is not registered, and its program is not built with all others.
function(pollux_cases_test entry target)
  cmake_parse_arguments(CASES "" "PREFIX;SHARDS" "ONLY;EXCEPT;LABELS" ${ARGN})
  if(entry IN_LIST POLLUX_UNBUILT_TESTS)
    set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL ON)
    return()
  endif()
  list(JOIN CASES_ONLY ":" filter)
  if(CASES_EXCEPT)
    list(JOIN CASES_EXCEPT ":" except)
    string(APPEND filter "-${except}")
  endif()
  set(words "")
  if(filter)
    set(words --gtest_filter=${filter})
  endif()
  set(shards 1)
  if(CASES_SHARDS)
    set(shards ${CASES_SHARDS})
  endif()
  foreach(shard RANGE 1 ${shards})
    set(name ${entry})
    if(shards GREATER 1)
      set(name ${entry}.${shard})
    endif()
    math(EXPR index "${shard} - 1")
    add_test(NAME ${name} COMMAND ${target} ${words})
    # Sharded tests take long, so they start first.
    set_tests_properties(${name} PROPERTIES TIMEOUT 900 COST ${shards} LABELS "${CASES_LABELS}"
      ENVIRONMENT "GTEST_TOTAL_SHARDS=${shards};GTEST_SHARD_INDEX=${index}")
    pollux_cases(${name} ${CASES_PREFIX})
  endforeach()
endfunction()

# pollux_cases(ENTRY PREFIX): the test ENTRY writes its cases, which tools/test counts as PREFIX.CLASS.CASE.
function(pollux_cases entry prefix)
  set_property(TEST ${entry} APPEND PROPERTY ENVIRONMENT GTEST_OUTPUT=xml:${PROJECT_BINARY_DIR}/test-cases/${entry}/${prefix}.xml)
endfunction()

# pollux_python_test(ENTRY script_test.py [ARGUMENT...]): a unittest script, which may use the tools' modules. Python tests do not
# depend on the build, so builds with sanitizers leave them out, unless PROGRAMS says that the script runs built programs whose code no
# other test runs with sanitizers. PACKAGE: it imports the Python package, and warnings are errors; long runs of builds with the address
# sanitizer have it, too, with the sanitizer's runtime preloaded. The interpreter's own leaks are not looked for.
function(pollux_python_test entry script)
  cmake_parse_arguments(TEST "PROGRAMS;PACKAGE" "" "" ${ARGN})
  if(POLLUX_SANITIZE AND NOT TEST_PROGRAMS AND NOT TEST_PACKAGE)
    return()
  endif()
  set(words "")
  if(POLLUX_SANITIZE AND TEST_PACKAGE)
    execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=libclang_rt.asan-${CMAKE_SYSTEM_PROCESSOR}.so OUTPUT_VARIABLE runtime
      OUTPUT_STRIP_TRAILING_WHITESPACE)
    set(words LD_PRELOAD=${runtime} ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc)
  endif()
  set(path ${PROJECT_SOURCE_DIR}/tools/lib)
  set(options "")
  if(TEST_PACKAGE)
    string(APPEND path ":${PROJECT_BINARY_DIR}/python")
    set(options -W error -X dev)
  endif()
  add_test(NAME ${entry}
    COMMAND ${CMAKE_COMMAND} -E env PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=${path} ${words}
      /usr/bin/python3 ${options} -m pollux_lab.run_unittest ${CMAKE_CURRENT_SOURCE_DIR}/${script} ${TEST_UNPARSED_ARGUMENTS})
  set_tests_properties(${entry} PROPERTIES TIMEOUT 300)
  if(words)
    set_tests_properties(${entry} PROPERTIES LABELS long TIMEOUT 900)
  endif()
  pollux_cases(${entry} ${entry})
endfunction()
