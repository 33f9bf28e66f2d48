# SPDX-License-Identifier: BSD-3-Clause
# Headers that most sources share, read once for all of a kind, which saves a third of the time that those take. Off unless
# asked for, since a compiler cache is better still and does not get on with it, and since it hides an include that a source
# forgets: the library's own sources are always compiled without it in release, and all are in the debug preset.
set(POLLUX_SHARED_HEADERS
  <algorithm> <array> <chrono> <cstdint> <functional> <map> <memory> <mutex> <optional> <span> <string> <string_view>
  <utility> <vector> <fmt/format.h> <pollux/pollux.hpp>)

# pollux_precompile(TARGET OWNER HEADER...): all targets of one owner are compiled with the same flags.
function(pollux_precompile target owner)
  if(target STREQUAL owner)
    target_precompile_headers(${target} PRIVATE ${POLLUX_SHARED_HEADERS} ${ARGN})
  else()
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
endfunction()
