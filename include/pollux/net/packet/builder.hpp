// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/transport.hpp"

namespace pollux::packet {

/// Writes a frame from the outside in, into memory of the caller's, and fills in what follows from the rest:
/// EtherTypes, IP protocols, lengths, and the checksums of IPv4, TCP, UDP and ICMPv6. Nothing is written beyond that
/// memory.
///
///     auto frame = packet::Builder({mbuf->tail(), mbuf->tailroom()})
///                      .ethernet({.destination = there, .source = here})
///                      .vlan({.id = 7})
///                      .ipv4({.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}})
///                      .udp({.source_port = 9, .destination_port = 9})
///                      .payload(bytes)
///                      .finish();
///     if (frame) mbuf->append(static_cast<std::uint32_t>(frame->size()));
///
/// Order: Ethernet, tags, IPv4 or IPv6 or ARP, TCP or UDP, payload; whatever is left out ends the headers there, so
/// that a payload may be another packet or a header that this does not know. A call that does not fit, or not at that
/// place, is remembered; all that follow do nothing, and `finish` says which it was. Thread rule: one thread. Allocates
/// nothing but the text of an error.
class POLLUX_API Builder {
 public:
  /// Bytes in memory of the shortest Ethernet frame, without FCS.
  static constexpr std::size_t kMinFrame = 60;

  explicit Builder(std::span<std::uint8_t> memory) noexcept : memory_(memory) {}

  /// Its EtherType counts only where none follows from the next header.
  Builder& ethernet(const EthernetHeader& header) noexcept;
  /// `kind`: the EtherType that marks the tag. Outer tags come first. The tag's own EtherType as above.
  Builder& vlan(const VlanHeader& header, std::uint16_t kind = ether_type::kVlan) noexcept;
  Builder& arp(const ArpHeader& header) noexcept;
  /// Total length and checksum are filled in; the protocol where TCP or UDP follows.
  Builder& ipv4(const Ipv4Header& header) noexcept;
  /// Payload length is filled in; the next header where TCP or UDP follows.
  Builder& ipv6(const Ipv6Header& header) noexcept;
  /// Length and checksum are filled in. Not in an IP fragment other than the first.
  Builder& udp(const UdpHeader& header) noexcept;
  /// The checksum is filled in. As above.
  Builder& tcp(const TcpHeader& header) noexcept;
  Builder& payload(std::span<const std::uint8_t> bytes) noexcept;

  /// Fills in what follows from the rest, pads with zeros up to `min_length`, and returns the frame's bytes, at the
  /// start of the memory. In an IPv4 fragment (`more_fragments`) TCP and UDP get no checksum, since that covers the
  /// whole packet. ICMPv6 is a payload directly behind an IPv6 header with that protocol.
  /// Errors: invalid_argument, naming the header that did not fit, and how it would.
  [[nodiscard]] Result<std::span<std::uint8_t>> finish(std::size_t min_length = kMinFrame);

 private:
  enum class Stage : std::uint8_t { nothing, ethernet, ip, transport, payload };

  template <class Header>
  [[nodiscard]] bool put(const Header& header, const char* name, Stage from, Stage to, Stage next) noexcept;
  template <class Header>
  void put_transport(const Header& header, const char* name, std::uint8_t protocol) noexcept;
  void set_ether_type(std::uint16_t type) noexcept;
  void fill_ip() noexcept;
  void fill_transport() noexcept;
  [[nodiscard]] tl::unexpected<Error> failure() const;

  static constexpr std::size_t kNowhere = ~std::size_t{0};

  std::span<std::uint8_t> memory_;
  std::size_t size_ = 0;
  Stage stage_ = Stage::nothing;
  std::size_t ether_type_at_ = kNowhere;
  std::size_t ip_at_ = kNowhere;
  std::size_t transport_at_ = kNowhere;  // also that of ICMPv6
  std::uint8_t protocol_ = 0;            // of what lies there
  const char* failed_ = nullptr;         // the header that could not be written
  bool failed_for_room_ = false;
};

}  // namespace pollux::packet
