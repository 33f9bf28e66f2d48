// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "hw/intel/descriptors.hpp"
#include "hw/intel/gigabit/limits.hpp"

/// The limits of the 82576 itself, not of this library.
namespace pollux::hw::igb {

/// 16 transmit and 16 receive queues per port (82576EB datasheet, product features).
inline constexpr std::uint32_t kRxQueues = 16;
inline constexpr std::uint32_t kTxQueues = 16;

using gigabit::kMsixBar;
using gigabit::kMulticastTableWords;
using gigabit::kRegisterBar;
using gigabit::kRegisterBytes;
using gigabit::kVlanTableWords;

using intel::kDescriptorBytes;
using intel::kMaxFrameBytes;
using intel::kRingAlignment;
using intel::kRingMax;
using intel::kRingMin;
using intel::kRingMultiple;
using intel::kRxBufferUnit;
using intel::kRxHeaderUnit;
using intel::kTxSegmentMax;

/// The shortest frame on the wire, including the CRC.
inline constexpr std::uint32_t kMinFrameBytes = 64;
/// The shortest frame to send. Software must pad shorter ones even with TCTL.PSP (Linux igb, igb_xmit_frame).
inline constexpr std::uint32_t kMinTxBytes = 17;
inline constexpr std::uint32_t kCrcBytes = 4;
inline constexpr std::uint32_t kVlanTagBytes = 4;

/// MSI-X vectors of the silicon. The device reports its own number: QEMU's card has 10.
inline constexpr std::uint32_t kMsixVectors = 25;

/// 24 exact addresses (Linux igb and DPDK, E1000_RAR_ENTRIES_82576). Index 0 is the port's own.
inline constexpr std::uint32_t kExactAddresses = 24;
/// 32-bit words of the unicast hash filter: 4096 bits.
inline constexpr std::uint32_t kUnicastTableWords = 128;
/// RSS: 128 redirection entries, four per register, and a key of 40 bytes.
inline constexpr std::uint32_t kRedirectionEntries = 128;
inline constexpr std::uint32_t kRssKeyWords = 10;
/// Pools (virtual machines) per port. Pool n has the queues n and n + 8.
inline constexpr std::uint32_t kPools = 8;
constexpr std::uint32_t pool_of(std::uint32_t queue) noexcept { return queue % kPools; }

}  // namespace pollux::hw::igb
