# SPDX-License-Identifier: BSD-3-Clause
# Sources of one target compiled in groups: a third of the time that it takes to compile each by itself. So no two of a target may
# give one name to different things. It hides an include that a source forgets; the library's own sources are compiled one by one
# in release, and all are in debug.
set(POLLUX_SHARED_HEADERS
  <algorithm> <array> <chrono> <cstdint> <functional> <map> <memory> <mutex> <optional> <span> <string> <string_view>
  <utility> <vector> <fmt/format.h> <pollux/pollux.hpp>)

# Larger groups leave a processor idle at the end, and take more memory.
set(POLLUX_SOURCES_TOGETHER 10)

# pollux_compile_together(TARGET): its sources in groups. One that cannot be has the property SKIP_UNITY_BUILD_INCLUSION.
function(pollux_compile_together target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${POLLUX_SOURCES_TOGETHER})
endfunction()

# pollux_share_headers(TARGET OWNER HEADER...): those that most sources need are read once, for the target OWNER. All targets of one
# owner have the same flags. A compiler cache is better still, and does not get on with it.
function(pollux_share_headers target owner)
  if(CMAKE_CXX_COMPILER_LAUNCHER)
    return()
  endif()
  if(target STREQUAL owner)
    target_precompile_headers(${target} PRIVATE ${POLLUX_SHARED_HEADERS} ${ARGN})
  else()
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
endfunction()
