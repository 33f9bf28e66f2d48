// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "hw/intel/descriptors.hpp"

/// The extended descriptors of cards before advanced ones. A receive write-back has the same fields in the same bits
/// but for the packet type (RxFormat::intel_extended). Of transmit descriptors the commands kEndOfPacket, kInsertCrc,
/// kReportStatus, kAdvanced and kInsertVlan, kDone and both flags of checksums have the same bits; what differs is
/// here. Linux e1000e, hw.h, and DPDK e1000, e1000_hw.h: e1000_data_desc and e1000_context_desc.
namespace pollux::hw::intel::tx::extended {

inline constexpr std::uint64_t kTypeData = std::uint64_t{1} << kTypeShift;
inline constexpr unsigned kTagShift = 48;                          ///< of a data descriptor's tag
inline constexpr std::uint64_t kSegment = std::uint64_t{1} << 26;  ///< of a context and of its data descriptors
/// The most bytes of one descriptor, which must fit the part of the packet buffer for sending: Linux e1000e, netdev.c,
/// e1000e_reset (tx_fifo_limit).
inline constexpr std::uint32_t kSegmentMax = 16 * 1024;

/// The constant bits of a data descriptor. Buffer length and flags are added.
inline constexpr std::uint64_t kData = kTypeData | kAdvanced | kInsertCrc;

/// A data descriptor for one buffer of a packet. `flags`: kEndOfPacket on the last descriptor, and others.
[[nodiscard]] constexpr Descriptor data(std::uint64_t address, std::uint32_t bytes, std::uint64_t flags) noexcept {
  return {address, kData | flags | bytes};
}

/// The offsets of the checksums in a packet of a `Context` for advanced descriptors, without its tag. A layer-4 sum
/// goes to the packet's end, that of IPv4 to the header's. `payload`: with segmentation, the bytes after the headers,
/// else 0.
[[nodiscard]] constexpr Descriptor context(const Context& what, std::uint32_t payload) noexcept {
  constexpr std::uint32_t kIpField = 10;
  constexpr std::uint32_t kTcpField = 16;
  constexpr std::uint32_t kUdpField = 6;
  constexpr std::uint64_t kTcp = std::uint64_t{1} << 24;
  constexpr std::uint64_t kIpv4 = std::uint64_t{1} << 25;
  const bool is_tcp = (what.kind & kL4TypeMask) == kContextTcp;
  const std::uint64_t ip = what.mac_length;
  const std::uint64_t l4 = ip + what.ip_length;
  constexpr unsigned kHeadersShift = 40;
  constexpr unsigned kSizeShift = 48;
  const std::uint64_t segments = payload == 0 ? 0
                                              : kSegment | payload | (l4 + what.l4_length) << kHeadersShift |
                                                    std::uint64_t{what.mss} << kSizeShift;
  return {ip | (ip + kIpField) << 8 | (l4 - 1) << 16 | l4 << 32 | (l4 + (is_tcp ? kTcpField : kUdpField)) << 40,
          kAdvanced | (is_tcp ? kTcp : 0) | ((what.kind & kContextIpv4) != 0 ? kIpv4 : 0) | segments};
}

}  // namespace pollux::hw::intel::tx::extended
