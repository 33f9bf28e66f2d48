// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

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

inline constexpr std::uint32_t kDescriptorBytes = 16;
/// RDLEN and TDLEN count in 128 bytes, so rings come in multiples of 8 descriptors (DPDK e1000, e1000_defines.h,
/// REQ_RX_DESCRIPTOR_MULTIPLE; 82575 manual, RDLEN: bits 19:7).
inline constexpr std::uint32_t kRingBytesMultiple = 128;
inline constexpr std::uint32_t kRingMultiple = kRingBytesMultiple / kDescriptorBytes;
/// 4096 is what Linux igb (IGB_MAX_RXD) and DPDK (IGB_MAX_RING_DESC) offer; the field has room for 64 Ki.
inline constexpr std::uint32_t kRingMin = 8;
inline constexpr std::uint32_t kRingMax = 4096;
/// Ring bases are aligned to what RDLEN counts in (DPDK, IGB_ALIGN; QEMU keeps address bits 4:0 zero).
inline constexpr std::uint32_t kRingAlignment = 128;

/// The longest frame, CRC included: 9.5 KiB (DPDK e1000, e1000_defines.h, MAX_RX_JUMBO_FRAME_SIZE).
inline constexpr std::uint32_t kMaxFrameBytes = 9728;
/// The shortest frame on the wire, CRC included.
inline constexpr std::uint32_t kMinFrameBytes = 64;
/// Shorter ones must be padded by software even with TCTL.PSP (Linux igb, igb_xmit_frame).
inline constexpr std::uint32_t kMinTxBytes = 17;
inline constexpr std::uint32_t kCrcBytes = 4;
inline constexpr std::uint32_t kVlanTagBytes = 4;

/// SRRCTL.BSIZEPACKET counts in KiB; the receive buffer of a queue is 1 to 127 KiB by its field.
inline constexpr std::uint32_t kRxBufferUnit = 1024;
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
