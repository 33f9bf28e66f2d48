// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/gigabit/card.hpp"
#include "hw/intel/igb/ids.hpp"
#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/registers.hpp"
#include "net/frame_size.hpp"

namespace pollux::drivers::igb {

namespace reg = hw::igb;

/// The card as the steps of the driver see it.
struct IgbCard : gigabit::GigabitCard {
  const hw::igb::CardTraits* traits = nullptr;
};
using intel::fail_removed;
using intel::microseconds;
using intel::milliseconds;

/// [I-JUMBO] The largest MTU: the card's longest frame less header, FCS and one VLAN tag, so that a tagged frame passes
/// at any MTU.
[[nodiscard]] constexpr std::uint32_t max_mtu(const hw::igb::CardTraits& card) noexcept {
  return card.max_frame - wire_bytes(0);
}
static_assert(max_mtu(hw::igb::kCards[0]) == 9706);

/// The pool of a queue of the card. Pool n has the queues n and n + pools.
[[nodiscard]] inline std::uint32_t pool_of(const IgbCard& card, std::uint32_t queue) noexcept {
  return queue % card.traits->pools;
}

}  // namespace pollux::drivers::igb
