# SPDX-License-Identifier: BSD-3-Clause
# Compiles the sources of a target in groups, which takes a third of the time. So no two sources of a target may use one name for
# different things. Grouping hides missing includes; debug builds compile all sources one by one.
set(POLLUX_SHARED_HEADERS
  <algorithm> <array> <chrono> <cstdint> <functional> <map> <memory> <mutex> <optional> <span> <string> <string_view>
  <utility> <vector> <fmt/format.h> <pollux/pollux.hpp>)

# Larger groups leave a processor idle at the end, and need more memory.
set(POLLUX_SOURCES_TOGETHER 24)
# g++ collects garbage again and again to stay below what a group needs anyway, some 1 GB: without, it takes an eighth less time.
if(POLLUX_TOGETHER AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:--param=ggc-min-heapsize=524288>)
endif()

# pollux_compile_together(TARGET): compiles its sources in groups. A source that cannot be grouped has the property
# SKIP_UNITY_BUILD_INCLUSION, or definitions of its own. CMake's own unity builds name sources by absolute paths, so that no compiler cache
# could share the result between checkouts.
function(pollux_compile_together target)
  # At the end of the folder's CMakeLists.txt, all sources and their properties are known.
  # Arguments of a deferred call are evaluated then, so the name is written into it.
  cmake_language(EVAL CODE "cmake_language(DEFER CALL pollux_group_sources ${target})")
endfunction()

function(pollux_group_sources target)
  get_target_property(sources ${target} SOURCES)
  set(single "")
  set(all_options "")
  foreach(source IN LISTS sources)
    set(is_single FALSE)
    foreach(property SKIP_UNITY_BUILD_INCLUSION COMPILE_FLAGS COMPILE_DEFINITIONS INCLUDE_DIRECTORIES)
      get_source_file_property(value ${source} ${property})
      if(value)
        set(is_single TRUE)
      endif()
    endforeach()
    if(is_single OR NOT source MATCHES "\\.cpp$")
      list(APPEND single ${source})
    else()
      # Sources with the same options are compiled together.
      get_source_file_property(options ${source} COMPILE_OPTIONS)
      get_source_file_property(without_headers ${source} SKIP_PRECOMPILE_HEADERS)
      string(MAKE_C_IDENTIFIER "${options} ${without_headers}" key)
      list(APPEND all_options ${key})
      set(options_${key} ${options})
      set(without_headers_${key} ${without_headers})
      list(APPEND grouped_${key} ${source})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES all_options)
  set(groups "")
  foreach(key IN LISTS all_options)
    pollux_write_groups(${target} "${options_${key}}" ${without_headers_${key}} ${grouped_${key}})
  endforeach()
  set_target_properties(${target} PROPERTIES SOURCES "${groups};${single}")
  # An option, so that the target's other folders are searched before: none of their headers is found here by accident.
  target_compile_options(${target} PRIVATE -I${PROJECT_SOURCE_DIR})
endfunction()

# pollux_write_groups(TARGET OPTIONS WITHOUT_HEADERS SOURCE...): writes files that include the sources, of nearly the same number each, and
# appends them to `groups`. They are compiled with these options, and without precompiled headers if WITHOUT_HEADERS says so.
function(pollux_write_groups target options without_headers)
  list(LENGTH ARGN count)
  math(EXPR number "(${count} + ${POLLUX_SOURCES_TOGETHER} - 1) / ${POLLUX_SOURCES_TOGETHER}")
  math(EXPR size "(${count} + ${number} - 1) / ${number}")
  set(begin 0)
  while(begin LESS count)
    list(SUBLIST ARGN ${begin} ${size} group)
    list(GET group 0 name)
    get_filename_component(name ${name} NAME_WE)
    set(file ${CMAKE_CURRENT_BINARY_DIR}/together/${target}_${name}.cpp)
    if(file IN_LIST groups)  # sources of two folders may have one name
      set(file ${CMAKE_CURRENT_BINARY_DIR}/together/${target}_${name}_${begin}.cpp)
    endif()
    set(content "")
    foreach(source IN LISTS group)
      get_filename_component(source ${source} ABSOLUTE)
      file(RELATIVE_PATH source ${PROJECT_SOURCE_DIR} ${source})
      string(APPEND content "#include \"${source}\"\n")
    endforeach()
    file(CONFIGURE OUTPUT ${file} CONTENT "${content}" @ONLY)
    if(without_headers)
      set_source_files_properties(${file} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
    if(options)
      set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "${options}")
    endif()
    list(APPEND groups ${file})
    math(EXPR begin "${begin} + ${size}")
  endwhile()
  set(groups "${groups}" PARENT_SCOPE)
endfunction()

# pollux_share_headers(TARGET OWNER HEADER...): precompiles the headers that most sources need, once for the target OWNER. All targets
# of one owner have the same flags.
function(pollux_share_headers target owner)
  if(target STREQUAL owner)
    target_precompile_headers(${target} PRIVATE ${POLLUX_SHARED_HEADERS} ${ARGN})
  else()
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
endfunction()
