// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/packet/parse.hpp"

#include <algorithm>

#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/transport.hpp"

namespace pollux::packet {
namespace {

constexpr std::size_t kMaxFrame = 65535;
constexpr std::size_t kSctpHeader = 12;  // RFC 9260, 3.1
constexpr std::size_t kShortestExtension = 8;

/// Parses the headers in order. Every read follows a call of `has`.
class Parser {
 public:
  Parser(std::span<const std::uint8_t> bytes, std::size_t frame_length) noexcept
      : bytes_(bytes.first(std::min(bytes.size(), kMaxFrame))),
        frame_length_(std::clamp(frame_length, bytes_.size(), kMaxFrame)) {}

  [[nodiscard]] Layout run() noexcept {
    end_ = frame_length_;
    if (has(0, EthernetHeader::kLength)) ethernet();
    layout_.payload = static_cast<std::uint16_t>(payload_);
    // A length that contradicts the headers leaves no payload.
    layout_.end = static_cast<std::uint16_t>(std::max(payload_, std::min(end_, frame_length_)));
    return layout_;
  }

 private:
  /// Whether there are `count` bytes at `at`; if not, marks the frame as truncated.
  bool has(std::size_t at, std::size_t count) noexcept {
    if (at <= bytes_.size() && count <= bytes_.size() - at) [[likely]]
      return true;
    layout_.truncated = true;
    return false;
  }
  [[nodiscard]] std::uint16_t read16(std::size_t at) const noexcept { return load16(&bytes_[at]); }
  void set_type(std::uint32_t bits) noexcept { layout_.type.bits |= bits; }

  void ethernet() noexcept {
    std::size_t at = EthernetHeader::kLength;
    std::uint16_t type = read16(at - 2);
    while (is_vlan(type) && layout_.vlan_count < Layout::kMaxVlans && has(at, VlanHeader::kLength)) {
      layout_.vlans[layout_.vlan_count++] = read16(at);
      type = read16(at + 2);
      at += VlanHeader::kLength;
    }
    layout_.ether_type = type;
    layout_.l3 = static_cast<std::uint16_t>(at);
    payload_ = at;
    if (type == ether_type::kIpv4) ipv4(at);
    if (type == ether_type::kIpv6) ipv6(at);
  }

  /// Sets the packet's end from its header: `length` bytes from `at`, of which `header` bytes are the header.
  void set_end(std::size_t at, std::size_t length, std::size_t header) noexcept {
    if (length < header) layout_.malformed = true;
    if (at + length > frame_length_) layout_.truncated = true;
    end_ = at + length;
  }

  void ipv4(std::size_t at) noexcept {
    if (!has(at, 1)) return;
    const std::size_t header = (bytes_[at] & 0x0FU) * std::size_t{4};
    if (bytes_[at] >> 4 != 4 || header < Ipv4Header::kLength) {
      layout_.malformed = true;
      return;
    }
    if (!has(at, header)) return;
    set_type(PacketType::ipv4 | (header > Ipv4Header::kLength ? PacketType::ipv4_options : 0U));
    set_end(at, read16(at + 2), header);
    payload_ = at + header;
    const std::uint16_t fragment = read16(at + 6);
    if ((fragment & 0x3FFF) != 0) layout_.fragment = (fragment & 0x1FFF) == 0 ? Fragment::first : Fragment::later;
    if (layout_.fragment != Fragment::later) layer4(bytes_[at + 9], at + header);
  }

  void ipv6(std::size_t at) noexcept {
    if (!has(at, 1)) return;
    if (bytes_[at] >> 4 != 6) {
      layout_.malformed = true;
      return;
    }
    if (!has(at, Ipv6Header::kLength)) return;
    set_type(PacketType::ipv6);
    set_end(at, Ipv6Header::kLength + read16(at + 4), Ipv6Header::kLength);
    payload_ = at + Ipv6Header::kLength;
    extensions(bytes_[at + 6], payload_);
  }

  void extensions(std::uint8_t next, std::size_t at) noexcept {
    for (;;) {
      const bool is_fragment = next == ip_protocol::kFragment;
      if (!is_fragment && next != ip_protocol::kHopByHop && next != ip_protocol::kRouting &&
          next != ip_protocol::kDestinationOptions) {
        break;
      }
      // The card's packet type depends only on the headers up to and including the fragment header.
      const bool is_typed = layout_.fragment == Fragment::none;
      if (is_fragment && is_typed) set_type(PacketType::ipv6_extensions);
      if (is_fragment) layout_.fragment = Fragment::later;  // the default, if the frame ends here
      if (!has(at, kShortestExtension)) return;
      if (is_typed) set_type(PacketType::ipv6_extensions);
      if (is_fragment) layout_.fragment = (read16(at + 2) & 0xFFF8) == 0 ? Fragment::first : Fragment::later;
      next = bytes_[at];
      // RFC 8200, 4: in units of 8 bytes, without the first one; a fragment header has no length.
      at += is_fragment ? kShortestExtension : (bytes_[at + 1] + std::size_t{1}) * 8;
      if (!has(at, 0)) return;
      payload_ = at;
      if (layout_.fragment == Fragment::later) return;
    }
    layer4(next, at);
  }

  void layer4(std::uint8_t protocol, std::size_t at) noexcept {
    layout_.l4 = static_cast<std::uint16_t>(at);
    layout_.protocol = protocol;
    if (protocol == ip_protocol::kTcp) return tcp(at);
    if (protocol == ip_protocol::kUdp) return udp(at);
    if (protocol == ip_protocol::kSctp && has(at, kSctpHeader)) {
      set_l4_type(PacketType::sctp);
      accept(at, kSctpHeader);
    }
  }
  void tcp(std::size_t at) noexcept {
    if (!has(at, TcpHeader::kLength)) return;
    set_l4_type(PacketType::tcp);
    const std::size_t header = (bytes_[at + 12] >> 4) * std::size_t{4};
    if (header < TcpHeader::kLength) {
      layout_.malformed = true;
    } else if (has(at, header)) {
      accept(at, header);
    }
  }
  void udp(std::size_t at) noexcept {
    if (!has(at, UdpHeader::kLength)) return;
    set_l4_type(PacketType::udp);
    const std::size_t length = read16(at + 4);
    // In a fragment, the length is that of the whole datagram.
    const bool is_beyond = layout_.fragment == Fragment::none && at + length > end_;
    if (length < UdpHeader::kLength || is_beyond) {
      layout_.malformed = true;
    } else {
      accept(at, UdpHeader::kLength);
      if (layout_.fragment == Fragment::none) end_ = at + length;  // the rest of the packet is no payload: RFC 9868, 5
    }
  }
  /// The card's packet type has no layer 4 for fragments.
  void set_l4_type(std::uint32_t bit) noexcept {
    if (layout_.fragment == Fragment::none) set_type(bit);
  }
  /// Accepts the layer 4 header if it does not exceed the IP packet.
  void accept(std::size_t at, std::size_t header) noexcept {
    if (at + header > end_) {
      layout_.malformed = true;
    } else {
      payload_ = at + header;
    }
  }

  std::span<const std::uint8_t> bytes_;
  std::size_t frame_length_;
  std::size_t payload_ = 0;
  std::size_t end_ = 0;
  Layout layout_;
};

}  // namespace

Layout parse(std::span<const std::uint8_t> bytes, std::size_t frame_length) noexcept {
  return Parser(bytes, frame_length).run();
}

Layout parse(const Mbuf& frame) noexcept {
  const Layout layout = parse(frame.bytes(), frame.packet_length());
  if (!layout.truncated || frame.next() == nullptr) [[likely]]
    return layout;
  std::array<std::uint8_t, kMaxHeaderBytes> head;
  const std::size_t copied = frame.copy_out(0, head);
  return parse(std::span(head).first(copied), frame.packet_length());
}

}  // namespace pollux::packet
