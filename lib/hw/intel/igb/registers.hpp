// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "hw/intel/gigabit/registers.hpp"
#include "hw/intel/igb/ids.hpp"
#include "hw/intel/igb/registers_control.hpp"
#include "hw/intel/igb/registers_filter.hpp"
#include "hw/intel/igb/registers_interrupt.hpp"
#include "hw/intel/igb/registers_later.hpp"
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

/// Every register of an 82576, for register dumps, a model's dispatch and the documentation.
inline constexpr auto kRegisters = detail::join(
    kControlRegisters, kSerdesRegisters, kNvmRegisters, kInterruptRegisters, kReceiveRegisters, kFilterRegisters,
    kTransmitRegisters, kStatisticsRegisters, kVirtualRegisters, kTimeRegisters, kSystemRegisters);

/// How many registers of an array a card has.
[[nodiscard]] constexpr std::uint32_t count_of(const RegisterInfo& info, const CardTraits& card) noexcept {
  if (info.name == "RAL" || info.name == "RAH") return card.exact_addresses;
  const bool of_queues = info.group == "receive" || info.group == "transmit";
  return of_queues && info.stride.count == kRxQueues ? card.queue_registers : info.stride.count;
}

/// The registers of a card.
[[nodiscard]] inline std::vector<RegisterInfo> registers_of(const CardTraits& card) {
  std::vector<RegisterInfo> all(kRegisters.begin(), kRegisters.end());
  if (card.later_registers) all.insert(all.end(), kLaterRegisters.begin(), kLaterRegisters.end());
  for (RegisterInfo& info : all) {
    info.stride.count = count_of(info, card);
    info.alias.count = std::min(info.alias.count, info.stride.count);
  }
  return all;
}

}  // namespace pollux::hw::igb
