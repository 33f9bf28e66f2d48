// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/resource.h>

#include <algorithm>

namespace pollux::tool {

/// Those of a server without clients, also while it answers one.
constexpr rlim_t kOwnFiles = 64;

/// Raises this process's limit of open files to `wanted`, as far as it may. Returns the limit.
inline rlim_t allow_open_files(rlim_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = std::max(before, std::min(limit.rlim_max, wanted));
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
}

}  // namespace pollux::tool
