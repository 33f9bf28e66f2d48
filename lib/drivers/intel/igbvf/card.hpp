// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/common/card.hpp"
#include "hw/intel/igbvf/registers.hpp"

namespace pollux::drivers::igbvf {

namespace reg = hw::igbvf;

using Card = intel::Card<hw::igbvf::Registers>;
using intel::fail_removed;
using intel::microseconds;
using intel::milliseconds;

/// [I-VFQUEUE] A virtual function has two receive and two transmit queues. As Linux's igb configures it, the second
/// receive queue gets no frames.
inline constexpr std::uint16_t kQueues = 1;

}  // namespace pollux::drivers::igbvf
