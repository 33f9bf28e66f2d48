// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pollux/device/register.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::drivers::intel {

/// Appends the registers of `table` that have an alias, read at the alias, for each of `queues` queues.
void dump_aliases(const Bar& bar, std::span<const RegisterInfo> table, std::uint32_t queues,
                  std::vector<RegisterValue>& values);

}  // namespace pollux::drivers::intel
