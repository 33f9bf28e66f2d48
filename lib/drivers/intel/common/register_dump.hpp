// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "pollux/device/register.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::drivers::intel {

/// Reads every register of `table` whose reading changes nothing, at its own place. `left_out` names those that may be
/// read, but at a price.
[[nodiscard]] std::vector<RegisterValue> dump_registers(const Bar& bar, std::span<const RegisterInfo> table,
                                                        std::span<const std::string_view> left_out);

/// Appends those of `table` that have a second place, as they read there, for each of `queues`.
void dump_second_places(const Bar& bar, std::span<const RegisterInfo> table, std::uint32_t queues,
                        std::vector<RegisterValue>& values);

}  // namespace pollux::drivers::intel
