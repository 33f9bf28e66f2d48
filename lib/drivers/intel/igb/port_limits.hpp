// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "hw/intel/igb/limits.hpp"
#include "net/frame_size.hpp"

namespace pollux::drivers::igb {

/// [I-JUMBO] The MTU that the longest frame leaves: 9,728 bytes less header, FCS and room for one VLAN tag, so that a
/// tagged frame passes at any MTU.
inline constexpr std::uint32_t kMaxMtu = hw::igb::kMaxFrameBytes - wire_bytes(0);
static_assert(kMaxMtu == 9706);

}  // namespace pollux::drivers::igb
