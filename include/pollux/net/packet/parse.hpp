// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "pollux/base/api.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/net/rx_metadata.hpp"

namespace pollux::packet {

/// Which part of an IP packet a frame carries.
enum class Fragment : std::uint8_t {
  none,   ///< all of it
  first,  ///< the first bytes of its payload, or all of it behind an IPv6 fragment header ("atomic", RFC 6946)
  later,  ///< other bytes, so there is no header of layer 4
};

/// Where the headers of a frame lie and what they say. Offsets are bytes from the frame's start, and always
/// l3 <= payload <= end <= the frame's length. A header that lies in the frame only in part, or that contradicts
/// itself, is not understood: its bytes count as payload.
struct Layout {
  /// In the card's terms: what RxMetadata::packet_type() says of the same frame. Each bit says that the fixed part of
  /// that header lies in the bytes that were looked at (at `l3`: 20 or 40 bytes; at `l4`: TCP 20, UDP 8, SCTP 12). As a
  /// card does, it leaves layer 4 out for all fragments, and looks behind hop-by-hop, routing and destination options
  /// headers of IPv6 only. A card as Pollux configures it looks behind one tag of 0x8100; this looks behind two tags of
  /// any kind.
  PacketType type = {};
  std::uint16_t ether_type = 0;          ///< behind the tags; below 0x0600: a length; 0: no Ethernet header
  std::uint8_t vlan_count = 0;           ///< tags that were looked behind, at most kMaxVlans
  std::uint8_t protocol = 0;             ///< of layer 4, an IP protocol number; meaningful where `l4` is not 0
  std::array<std::uint16_t, 2> vlans{};  ///< tag control information, host byte order, the outer tag first
  Fragment fragment = Fragment::none;
  bool truncated = false;  ///< a header, or the IP packet by its own length, goes beyond the frame's end
  bool malformed =
      false;  ///< a header says what cannot be: a version, or a length shorter than itself or than what it holds
  std::uint16_t l3 = 0;  ///< what follows the Ethernet header and its tags
  std::uint16_t l4 =
      0;  ///< what follows the IP headers; 0 if there is none: no IP, a later fragment, or truncated before
  /// What follows the last header that was understood (Ethernet, tags, IP, TCP, UDP, SCTP).
  std::uint16_t payload = 0;
  /// Where the payload ends: by the IP header's length where there is one and it fits, else the frame's end. Padding of
  /// short frames lies behind.
  std::uint16_t end = 0;

  static constexpr std::size_t kMaxVlans = 2;

  [[nodiscard]] bool is_ip() const noexcept { return type.has(PacketType::ipv4) || type.has(PacketType::ipv6); }
  /// Bytes of Ethernet header and tags.
  [[nodiscard]] std::uint16_t l2_length() const noexcept { return l3; }
  /// Bytes of IP header and options or extension headers; 0 where there is no layer 4.
  [[nodiscard]] std::uint16_t l3_length() const noexcept {
    return l4 != 0 ? static_cast<std::uint16_t>(l4 - l3) : std::uint16_t{0};
  }
  /// Bytes of the TCP header with options, or of the UDP or SCTP header; 0 where none was understood.
  [[nodiscard]] std::uint16_t l4_length() const noexcept {
    return l4 != 0 ? static_cast<std::uint16_t>(payload - l4) : std::uint16_t{0};
  }
  [[nodiscard]] std::uint16_t payload_length() const noexcept { return static_cast<std::uint16_t>(end - payload); }
};

/// Looks at a frame that starts with its Ethernet header and has no FCS. `bytes` is all of it, or its first bytes where
/// `frame_length` says how long it is; what lies beyond `bytes` counts as truncated. Any bytes do; none beyond `bytes`
/// is read. Of a frame over 65,535 bytes only so many are looked at.
[[nodiscard]] POLLUX_API Layout parse(std::span<const std::uint8_t> bytes, std::size_t frame_length) noexcept;
[[nodiscard]] inline Layout parse(std::span<const std::uint8_t> bytes) noexcept { return parse(bytes, bytes.size()); }
/// The same for a received frame. Where its headers do not end in the first segment of a chain, the first
/// kMaxHeaderBytes are copied together and looked at again.
[[nodiscard]] POLLUX_API Layout parse(const Mbuf& frame) noexcept;
inline constexpr std::size_t kMaxHeaderBytes = 512;

}  // namespace pollux::packet
