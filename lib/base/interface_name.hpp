// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

#include "pollux/base/error.hpp"

namespace pollux {

/// Error invalid_argument, for `what`, if the kernel takes no network interface of that name.
[[nodiscard]] Result<void> check_interface_name(std::string_view name, std::string_view what);

}  // namespace pollux
