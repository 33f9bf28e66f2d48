// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "pollux/mem/mbuf.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/runtime/gro.hpp"

namespace pollux::gro {

/// Words of headers as they are in memory: enough to compare them.
[[nodiscard]] inline std::uint16_t word16(const std::uint8_t* at) noexcept {
  std::uint16_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}
[[nodiscard]] inline std::uint32_t word32(const std::uint8_t* at) noexcept {
  std::uint32_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}
[[nodiscard]] inline std::uint64_t word64(const std::uint8_t* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

/// A number between host and network byte order, in either direction.
[[nodiscard]] constexpr std::uint16_t swap16(std::uint16_t number) noexcept {
  return std::endian::native == std::endian::little ? __builtin_bswap16(number) : number;
}
[[nodiscard]] constexpr std::uint32_t swap32(std::uint32_t number) noexcept {
  return std::endian::native == std::endian::little ? __builtin_bswap32(number) : number;
}

// Bytes of headers.
inline constexpr std::uint16_t kEthernet = 14;
inline constexpr std::uint16_t kTag = 4;
inline constexpr std::uint16_t kIpv4 = 20;  ///< without options
inline constexpr std::uint16_t kIpv6 = 40;
inline constexpr std::uint16_t kVxlan = 8;  ///< RFC 7348, 5

/// The flag of an IPv4 header's fourth half word, as it is in memory.
inline constexpr std::uint16_t kDontFragment = swap16(0x4000);

/// What GRO may do with a frame.
enum class SegmentKind : std::uint8_t {
  /// Belongs to no flow, or cannot be trusted: it passes and changes nothing.
  other,
  /// Its headers are not in its first mbuf: it passes after all that is held.
  scattered,
  mergeable
};

/// Where the headers of a frame are, in bytes from its start.
struct HeaderLayout {
  std::uint16_t outer_l3 = 0;  ///< the IP header of a VXLAN tunnel; 0: no tunnel
  std::uint16_t outer_l4 = 0;  ///< its UDP header
  std::uint16_t l3 = 0;
  std::uint16_t l4 = 0;
  std::uint16_t payload = 0;
  bool outer_is_ipv6 = false;
  bool is_ipv6 = false;
  bool is_udp = false;  ///< else TCP

  [[nodiscard]] bool in_tunnel() const noexcept { return outer_l3 != 0; }
  [[nodiscard]] std::uint8_t protocol() const noexcept {
    return is_udp ? packet::ip_protocol::kUdp : packet::ip_protocol::kTcp;
  }
};

/// A frame with its TCP or UDP header.
struct Segment : HeaderLayout {
  Mbuf* mbuf = nullptr;
  const std::uint8_t* bytes = nullptr;
  std::uint32_t hash = 0;  ///< of RSS; 0: none
  std::uint32_t vlan = 0;  ///< the tag in the metadata; 0: none
  std::uint32_t payload_length = 0;
  bool ends_flow = false;  ///< is not merged, and ends the flow that it belongs to

  static constexpr std::uint32_t kHasVlan = 1U << 16;
  static constexpr std::uint32_t kInnerVlan = 1U << 17;  ///< RxMetadata::vlan_is_inner
};

/// Reads the headers of `mbuf` and checks its checksums. `segment` is complete only if the result is `mergeable`.
[[nodiscard]] SegmentKind read_segment(Mbuf& mbuf, const GroOptions& options, Segment& segment) noexcept;

}  // namespace pollux::gro
