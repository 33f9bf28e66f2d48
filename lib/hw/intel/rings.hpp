// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

/// The limits of rings of advanced descriptors.
namespace pollux::hw::intel {

inline constexpr std::uint32_t kDescriptorBytes = 16;
/// The size of a ring is a multiple of 8 descriptors (DPDK e1000, e1000_defines.h, REQ_RX_DESCRIPTOR_MULTIPLE; 82575
/// manual, RDLEN: bits 19:7).
inline constexpr std::uint32_t kRingMultiple = 8;
/// Linux igb (IGB_MAX_RXD) and DPDK (IGB_MAX_RING_DESC) allow up to 4096. The field has room for 64 Ki.
inline constexpr std::uint32_t kRingMin = 8;
inline constexpr std::uint32_t kRingMax = 4096;
/// Alignment of ring bases, in bytes (DPDK, IGB_ALIGN; QEMU keeps address bits 4:0 zero).
inline constexpr std::uint32_t kRingAlignment = 128;

/// The longest frame, including FCS: 9.5 KiB (DPDK e1000, e1000_defines.h, MAX_RX_JUMBO_FRAME_SIZE).
inline constexpr std::uint32_t kMaxFrameBytes = 9728;

/// [I-TXSEGMENT] The longest buffer of one transmit descriptor, as in Linux igb. The length field has 16 bits.
inline constexpr std::uint32_t kTxSegmentMax = 32 * 1024;

/// SRRCTL.BSIZEPACKET counts KiB, so a queue's receive buffers have 1 to 127 KiB.
inline constexpr std::uint32_t kRxBufferUnit = 1024;
inline constexpr std::uint32_t kRxBufferUnitsMax = 127;

/// SRRCTL.BSIZEHEADER counts units of 64 bytes in four bits, so header buffers have 64 to 960 bytes.
inline constexpr std::uint32_t kRxHeaderUnit = 64;
inline constexpr std::uint32_t kRxHeaderUnitsMax = 15;

}  // namespace pollux::hw::intel
