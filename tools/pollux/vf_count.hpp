// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fmt/format.h>

#include <functional>

#include "pollux/base/error.hpp"
#include "pollux/net/port.hpp"
#include "pollux/net/settings.hpp"
#include "pollux/net/virtual_functions.hpp"

namespace pollux::tool {

/// A port's virtual functions.
struct FunctionCount {
  unsigned enabled = 0;
  unsigned possible = 0;
  std::function<Result<void>(unsigned count)> set;
};

/// Enables the first `count` functions of a port instead of those that it has. The kernel changes a number of functions
/// only from or to 0, so those that exist end first. If it then refuses the new number, they are enabled again, with
/// default settings.
[[nodiscard]] inline Result<void> change_functions(const FunctionCount& functions, unsigned count) {
  if (count == functions.enabled) return {};
  if (count > functions.possible) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} virtual functions were requested, and the port can have {}", count, functions.possible),
                "request fewer; the functions that exist were not changed");
  }
  if (auto none = functions.set(0); !none) return none;
  auto set = functions.set(count);
  if (set || functions.enabled == 0) return set;
  const auto back = functions.set(functions.enabled);
  set.error().what += back ? fmt::format("; it has {} functions again", functions.enabled)
                           : fmt::format("; its {} functions are gone", functions.enabled);
  return set;
}

/// The same. The port has the capability VirtualFunctions.
[[nodiscard]] inline Result<void> change_functions(Port& port, unsigned count) {
  const auto set = [&](unsigned wanted) {
    return port.change([=](Settings& settings) { settings.functions.assign(wanted, {}); });
  };
  const unsigned possible = port.capability<VirtualFunctions>()->max_functions();
  return change_functions(
      {.enabled = static_cast<unsigned>(port.settings().functions.size()), .possible = possible, .set = set}, count);
}

}  // namespace pollux::tool
