# SPDX-License-Identifier: BSD-3-Clause
# Compiles the sources of a target in groups, which takes a third of the time. So no two sources of a target may use one name for
# different things. Grouping hides missing includes; so release builds compile the library's own sources and benchmarks one by one, and
# debug builds compile all sources one by one.
set(POLLUX_SHARED_HEADERS
  <algorithm> <array> <chrono> <cstdint> <functional> <map> <memory> <mutex> <optional> <span> <string> <string_view>
  <utility> <vector> <fmt/format.h> <pollux/pollux.hpp>)

# Larger groups leave a processor idle at the end, and need more memory.
set(POLLUX_SOURCES_TOGETHER 10)

# pollux_compile_together(TARGET): compiles its sources in groups. A source that cannot be grouped has the property
# SKIP_UNITY_BUILD_INCLUSION.
function(pollux_compile_together target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${POLLUX_SOURCES_TOGETHER})
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
