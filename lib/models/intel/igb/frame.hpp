// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace pollux::models::igb {

/// The headers that the card's parser finds in a frame (without FCS). Offsets are in bytes from the frame's start. An
/// offset of 0 means that the header is absent.
struct Headers {
  bool tagged = false;           ///< it has a VLAN tag that is filtered and stripped: the inner one of two
  std::uint16_t vlan = 0;        ///< this tag, priority included
  std::size_t tag = 0;           ///< where it lies
  std::size_t tag_bytes = 0;     ///< the length of all tags
  std::uint16_t ether_type = 0;  ///< after the tags
  std::size_t ipv4 = 0;
  std::size_t ipv6 = 0;
  std::size_t tcp = 0;
  std::size_t udp = 0;
  std::size_t sctp = 0;
  bool ip_options = false;  ///< IPv4 options, or IPv6 extension headers
  bool fragment = false;    ///< an IP fragment, so layer 4 is not parsed
  bool rerouted = false;    ///< the pseudo-header's addresses may not be those of the IP header
  std::size_t ip_end = 0;   ///< of the IP header with options or extension headers; a fragment header lies behind it
};

inline constexpr std::size_t kMacHeaderBytes = 14;
// IANA's protocol numbers.
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolSctp = 132;
/// Offset of the checksum in a UDP header.
inline constexpr std::size_t kUdpChecksumAt = 6;

[[nodiscard]] std::uint16_t read_big16(std::span<const std::byte> frame, std::size_t offset) noexcept;
[[nodiscard]] bool is_multicast(std::span<const std::byte> frame) noexcept;  ///< broadcast included
[[nodiscard]] bool is_broadcast(std::span<const std::byte> frame) noexcept;
/// The EtherTypes of VLAN tags.
struct TagTypes {
  std::uint16_t inner = 0;
  std::optional<std::uint16_t> outer = {};  ///< if CTRL_EXT.EXT_VLAN is set
};
/// Parses a frame. Never reads beyond it.
[[nodiscard]] Headers parse(std::span<const std::byte> frame, TagTypes types) noexcept;
/// The Ethernet FCS in wire order, least significant byte first.
[[nodiscard]] std::uint32_t frame_check_sequence(std::span<const std::byte> frame) noexcept;

}  // namespace pollux::models::igb
