// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "hw/intel/gigabit/registers.hpp"
#include "hw/intel/igb/registers_control.hpp"
#include "hw/intel/igb/registers_filter.hpp"
#include "hw/intel/igb/registers_interrupt.hpp"
#include "hw/intel/igb/registers_receive.hpp"
#include "hw/intel/igb/registers_statistics.hpp"
#include "hw/intel/igb/registers_system.hpp"
#include "hw/intel/igb/registers_transmit.hpp"
#include "hw/intel/igb/registers_virtual.hpp"
#include "pollux/device/register.hpp"

/// All declared registers of the 82576, as types and as a table.
namespace pollux::hw::igb {

/// Access to an 82576's registers. STATUS is read to flush writes and to detect removal: it has no side effect and is
/// never all ones on a live card.
using gigabit::Registers;

namespace detail {

template <std::size_t... kSizes>
[[nodiscard]] constexpr auto join(const std::array<RegisterInfo, kSizes>&... tables) noexcept {
  std::array<RegisterInfo, (kSizes + ...)> all;
  auto next = all.begin();
  ((next = std::copy(tables.begin(), tables.end(), next)), ...);
  return all;
}

}  // namespace detail

/// Every register, for register dumps, a model's dispatch and the documentation.
inline constexpr auto kRegisters = detail::join(
    kControlRegisters, kSerdesRegisters, kNvmRegisters, kInterruptRegisters, kReceiveRegisters, kFilterRegisters,
    kTransmitRegisters, kStatisticsRegisters, kVirtualRegisters, kTimeRegisters, kSystemRegisters);

}  // namespace pollux::hw::igb
