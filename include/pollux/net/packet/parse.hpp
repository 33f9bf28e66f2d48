// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "pollux/base/api.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/net/rx_metadata.hpp"

namespace pollux::packet {

/// Which part of an IP packet a frame carries.
enum class Fragment : std::uint8_t {
  none,   ///< the whole packet
  first,  ///< the start of its payload, or all of it after an IPv6 fragment header ("atomic", RFC 6946)
  later,  ///< a later part, so there is no header of layer 4
};

/// The positions and types of a frame's headers. Offsets are bytes from the start of the frame; always l3 <= payload <=
/// end <= the frame's length. A header that is incomplete or contradicts itself counts as payload.
struct Layout {
  /// The same as RxMetadata::packet_type() for this frame. A set bit means that the fixed part of that header is in the
  /// parsed bytes (at `l3`: 20 or 40 bytes; at `l4`: TCP 20, UDP 8, SCTP 12). As on a card, all fragments have no layer
  /// 4, and only the hop-by-hop, routing and destination options headers of IPv6 are skipped. This parser skips two
  /// tags of any type. A card, as Pollux configures it, skips only one tag, of type 0x8100.
  PacketType type = {};
  std::uint16_t ether_type = 0;          ///< after the tags; below 0x0600: a length; 0: no Ethernet header
  std::uint8_t vlan_count = 0;           ///< number of skipped tags, at most kMaxVlans
  std::uint8_t protocol = 0;             ///< the IP protocol number of layer 4; valid if `l4` is not 0
  std::array<std::uint16_t, 2> vlans{};  ///< tag control information, host byte order, the outer tag first
  Fragment fragment = Fragment::none;    ///< see Fragment
  bool truncated = false;                ///< a header, or the IP packet according to its length, exceeds the frame
  /// a header has a wrong version, or a length that is too short for itself or its content.
  bool malformed = false;
  std::uint16_t l3 = 0;  ///< offset after the Ethernet header and its tags
  /// Offset after the IP headers; 0 if there is none: no IP, a later fragment, or truncated before it.
  std::uint16_t l4 = 0;
  /// Offset after the last known header (Ethernet, tags, IP, TCP, UDP, SCTP).
  std::uint16_t payload = 0;
  /// End of the payload: as the IP header says if there is one and it fits, else the frame's end. A UDP datagram ends
  /// as its own header says, if that is possible. The padding of short frames is after it.
  std::uint16_t end = 0;

  static constexpr std::size_t kMaxVlans = 2;  ///< tags that the parser skips

  /// Whether there is an IP header, of either version.
  [[nodiscard]] bool is_ip() const noexcept { return type.has(PacketType::ipv4) || type.has(PacketType::ipv6); }
  /// Bytes of the Ethernet header and tags.
  [[nodiscard]] std::uint16_t l2_length() const noexcept { return l3; }
  /// Bytes of the IP header and its options or extension headers; 0 without layer 4.
  [[nodiscard]] std::uint16_t l3_length() const noexcept {
    return l4 != 0 ? static_cast<std::uint16_t>(l4 - l3) : std::uint16_t{0};
  }
  /// Bytes of the TCP header with options, or of the UDP or SCTP header; 0 without a known one.
  [[nodiscard]] std::uint16_t l4_length() const noexcept {
    return l4 != 0 ? static_cast<std::uint16_t>(payload - l4) : std::uint16_t{0};
  }
  /// Bytes from `payload` to `end`.
  [[nodiscard]] std::uint16_t payload_length() const noexcept { return static_cast<std::uint16_t>(end - payload); }
};

/// Parses a frame that starts with its Ethernet header and has no FCS. `bytes` is the whole frame or its beginning;
/// `frame_length` is the length of the whole frame. Headers beyond `bytes` count as truncated. Any content is allowed,
/// and nothing beyond `bytes` is read. Only the first 65,535 bytes of a frame are parsed.
[[nodiscard]] POLLUX_API Layout parse(std::span<const std::uint8_t> bytes, std::size_t frame_length) noexcept;
/// The same for a whole frame.
[[nodiscard]] inline Layout parse(std::span<const std::uint8_t> bytes) noexcept { return parse(bytes, bytes.size()); }
/// The same for a received frame. If the headers do not end in the first segment of a chain, the first kMaxHeaderBytes
/// are copied together and parsed again.
[[nodiscard]] POLLUX_API Layout parse(const Mbuf& frame) noexcept;
inline constexpr std::size_t kMaxHeaderBytes = 512;  ///< see `parse`

/// Where the addresses are that the checksum of TCP, UDP and other transports covers: bytes from the frame's start.
struct PseudoHeaderPlaces {
  /// Offsets of the addresses.
  ///@{
  std::size_t source = 0;
  std::size_t destination = 0;
  ///@}
  std::uint8_t bytes = 0;  ///< of each address: 4 or 16
};
/// The addresses of the IP header, but for packets that are still on a route: then the destination is the last address
/// of the IPv4 source route (RFC 791, 3.1) or of the IPv6 routing header with segments left (RFC 8200, 8.1; types 0, 2
/// and 4). The source is the home address of mobile IPv6, if there is one (RFC 6275, 6.3). Empty without layer 4, and
/// if the options, the destination options or the routing header are not understood. `layout` is the result of `parse`
/// for this frame, which is complete.
[[nodiscard]] POLLUX_API std::optional<PseudoHeaderPlaces> pseudo_header_places(std::span<const std::uint8_t> frame,
                                                                                const Layout& layout) noexcept;

}  // namespace pollux::packet
