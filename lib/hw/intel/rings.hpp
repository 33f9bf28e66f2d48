// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

/// What all rings of advanced descriptors have in common.
namespace pollux::hw::intel {

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

/// The longest frame, FCS included: 9.5 KiB (DPDK e1000, e1000_defines.h, MAX_RX_JUMBO_FRAME_SIZE).
inline constexpr std::uint32_t kMaxFrameBytes = 9728;

/// SRRCTL.BSIZEPACKET counts in KiB; the receive buffer of a queue is 1 to 127 KiB by its field.
inline constexpr std::uint32_t kRxBufferUnit = 1024;
inline constexpr std::uint32_t kRxBufferUnitsMax = 127;

}  // namespace pollux::hw::intel
