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

/// Writes a frame header by header into the caller's memory, and fills in EtherTypes, IP protocols, lengths, and the
/// checksums of IPv4, TCP, UDP and ICMPv6. Never writes beyond that memory.
///
///     auto frame = packet::Builder({mbuf->tail(), mbuf->tailroom()})
///                      .ethernet({.destination = there, .source = here})
///                      .vlan({.id = 7})
///                      .ipv4({.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}})
///                      .udp({.source_port = 9, .destination_port = 9})
///                      .payload(bytes)
///                      .finish();
///     if (!frame || mbuf->append(static_cast<std::uint32_t>(frame->size())) == nullptr) ...  // handle the error
///
/// Order: Ethernet, tags, IPv4 or IPv6 or ARP, TCP or UDP, payload. Later headers may be left out; the payload may then
/// hold another packet or an unknown header. If a header does not fit or is out of order, later calls do nothing, and
/// `finish` returns the error.
/// Thread rule: one thread. Allocates nothing except the text of an error.
class POLLUX_API Builder {
 public:
  /// Bytes of the shortest Ethernet frame, without FCS.
  static constexpr std::size_t kMinFrame = 60;

  /// `memory` outlives the Builder. Its length limits the frame's.
  explicit Builder(std::span<std::uint8_t> memory) noexcept : memory_(memory) {}

  /// The header's EtherType is used only if the next header does not determine it.
  Builder& ethernet(const EthernetHeader& header) noexcept;
  /// `kind`: the EtherType of the tag. Outer tags come first. The EtherType inside the tag is used as with `ethernet`.
  Builder& vlan(const VlanHeader& header, std::uint16_t kind = ether_type::kVlan) noexcept;
  /// Follows Ethernet or a tag.
  Builder& arp(const ArpHeader& header) noexcept;
  /// Fills in total length and checksum, and the protocol if TCP or UDP follows.
  Builder& ipv4(const Ipv4Header& header) noexcept;
  /// Fills in the payload length, and the next header if TCP or UDP follows.
  Builder& ipv6(const Ipv6Header& header) noexcept;
  /// Fills in length and checksum. In a first IPv4 fragment (`more_fragments`) a length other than 0 stays: that of the
  /// whole datagram, which only the caller knows. Not allowed in a later fragment.
  Builder& udp(const UdpHeader& header) noexcept;
  /// Fills in the checksum. Not allowed in a later IP fragment.
  Builder& tcp(const TcpHeader& header) noexcept;
  /// Copies `bytes` after what was written. It may be called several times.
  Builder& payload(std::span<const std::uint8_t> bytes) noexcept;

  /// Fills in lengths and checksums, pads with zeros up to `min_length`, and returns the frame's bytes at the start of
  /// the memory. TCP and UDP in an IPv4 fragment (`more_fragments`) get no checksum, since it covers the whole packet,
  /// and so do those behind malformed IPv4 options. On a source route the checksum is that of the last address.
  /// A payload directly after an IPv6 header with protocol ICMPv6 is treated as ICMPv6.
  /// Errors: invalid_argument, which names the header that did not fit and how to fix it.
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
  std::size_t transport_at_ = kNowhere;  // also of ICMPv6
  std::uint8_t protocol_ = 0;            // protocol at transport_at_
  const char* failed_ = nullptr;         // the header that could not be written
  bool failed_for_room_ = false;
};

}  // namespace pollux::packet
