// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "hw/intel/rings.hpp"

/// What the 82576 can hold. Each figure is the card's, not this library's choice.
namespace pollux::hw::igb {

/// 16 transmit and 16 receive queues a port (82576EB datasheet, product features).
inline constexpr std::uint32_t kRxQueues = 16;
inline constexpr std::uint32_t kTxQueues = 16;

/// The register window: BAR 0 is 128 KiB (Linux igb maps it whole; QEMU, igb.c, IGB_MMIO size).
inline constexpr std::uint32_t kRegisterBytes = 128 * 1024;
/// BAR 3 holds the MSI-X table.
inline constexpr std::uint32_t kRegisterBar = 0;
inline constexpr std::uint32_t kMsixBar = 3;

using intel::kDescriptorBytes;
using intel::kMaxFrameBytes;
using intel::kRingAlignment;
using intel::kRingBytesMultiple;
using intel::kRingMax;
using intel::kRingMin;
using intel::kRingMultiple;
using intel::kRxBufferUnit;

/// The shortest frame on the wire, CRC included.
inline constexpr std::uint32_t kMinFrameBytes = 64;
/// Shorter ones must be padded by software even with TCTL.PSP (Linux igb, igb_xmit_frame).
inline constexpr std::uint32_t kMinTxBytes = 17;
inline constexpr std::uint32_t kCrcBytes = 4;
inline constexpr std::uint32_t kVlanTagBytes = 4;

/// SRRCTL.BSIZEHEADER counts in 64 bytes.
inline constexpr std::uint32_t kRxHeaderUnit = 64;
/// The data length of one advanced transmit descriptor is a 16-bit field; Linux igb cuts at 32 KiB.
inline constexpr std::uint32_t kTxSegmentMax = 32 * 1024;

/// MSI-X vectors of the silicon. Ask the device how many it has: QEMU's offers 10.
inline constexpr std::uint32_t kMsixVectors = 25;

/// 24 exact addresses (Linux igb and DPDK, E1000_RAR_ENTRIES_82576), index 0 the port's own.
inline constexpr std::uint32_t kExactAddresses = 24;
/// Words of the hash filters for multicast and unicast, and of the VLAN filter: 4096 bits each.
inline constexpr std::uint32_t kMulticastTableWords = 128;
inline constexpr std::uint32_t kUnicastTableWords = 128;
inline constexpr std::uint32_t kVlanTableWords = 128;
/// RSS: 128 redirection entries, four a register, and a key of 40 bytes.
inline constexpr std::uint32_t kRedirectionEntries = 128;
inline constexpr std::uint32_t kRssKeyWords = 10;
/// Pools (virtual machines) a port.
inline constexpr std::uint32_t kPools = 8;

}  // namespace pollux::hw::igb
