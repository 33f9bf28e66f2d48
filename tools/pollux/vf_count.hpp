// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fmt/format.h>

#include "pollux/base/error.hpp"

namespace pollux::tool {

/// Enables the first `count` functions of a port instead of those that it has. The kernel changes a number of functions
/// only from or to 0, so those that exist end first. If it then refuses the new number, they are enabled again, with
/// default settings. `functions`: a Capability<VirtualFunctions>, or a pointer to an object like it.
template <class Functions>
[[nodiscard]] Result<void> change_functions(Functions& functions, unsigned count) {
  const unsigned before = functions->functions();
  const unsigned possible = functions->max_functions();
  if (count == before) return {};
  if (count > possible) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} virtual functions were requested, and the port can have {}", count, possible),
                "request fewer; the functions that exist were not changed");
  }
  if (auto none = functions->set_functions(0); !none) return none;
  auto set = functions->set_functions(count);
  if (set || before == 0) return set;
  const auto back = functions->set_functions(before);
  set.error().what +=
      back ? fmt::format("; it has {} functions again", before) : fmt::format("; its {} functions are gone", before);
  return set;
}

}  // namespace pollux::tool
