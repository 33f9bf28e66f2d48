// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "hw/intel/igb/ids.hpp"
#include "net/frame_size.hpp"

namespace pollux::drivers::igb {

/// [I-JUMBO] The largest MTU: the card's longest frame less header, FCS and one VLAN tag, so that a tagged frame passes
/// at any MTU.
[[nodiscard]] constexpr std::uint32_t max_mtu(const hw::igb::CardTraits& card) noexcept {
  return card.max_frame - wire_bytes(0);
}
static_assert(max_mtu(hw::igb::kCards[0]) == 9706);

}  // namespace pollux::drivers::igb
