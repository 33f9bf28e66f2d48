// SPDX-License-Identifier: BSD-3-Clause
#include "base/interface_name.hpp"

#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>

namespace pollux {

// Linux, net/core/dev.c, dev_valid_name. '%' is rejected, too: the kernel treats it as a pattern. The names of folders
// under /proc/sys/net that stand for all interfaces are reserved (net/ipv4/devinet.c, sysctl_dev_name_is_allowed).
Result<void> check_interface_name(std::string_view name, std::string_view what) {
  const auto is_bad = [](char c) { return c == '/' || c == ':' || c == '%' || c <= ' ' || c == 0x7F; };
  if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == ".." || std::ranges::any_of(name, is_bad)) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}': not a valid interface name", what),
                fmt::format("use 1 to {} characters, none of them a space, '/', ':' or '%'", IFNAMSIZ - 1));
  }
  if (name == "all" || name == "default") {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}': the kernel reserves the name '{}'", what, name),
                "choose another name");
  }
  return {};
}

}  // namespace pollux
