// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "pollux/device/register.hpp"
#include "pollux/net/register_dump.hpp"

namespace pollux {

/// Reads every register of `table` that has no side effect on read, at its primary offset. `left_out` names those that
/// have one although they are declared as readable.
[[nodiscard]] std::vector<RegisterValue> dump_registers(const Bar& bar, std::span<const RegisterInfo> table,
                                                        std::span<const std::string_view> left_out);

}  // namespace pollux
