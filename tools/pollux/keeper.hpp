// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "pollux/base/error.hpp"

namespace pollux::tool {

inline constexpr const char* kDefaultKeeper = "/run/pollux/keeper";

struct KeptDescriptor {
  std::string name;
  int process;  ///< whose it is
  bool runs;
};
/// What the keeper at that socket holds. Errors: not_found (there is none), permission_denied, io_error.
[[nodiscard]] Result<std::vector<KeptDescriptor>> kept_at(const std::string& socket);

}  // namespace pollux::tool
