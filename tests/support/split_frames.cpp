// SPDX-License-Identifier: BSD-3-Clause
#include "support/split_frames.hpp"

#include <array>
#include <stdexcept>
#include <utility>

#include "pollux/net/packet/builder.hpp"

namespace pollux::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::array<std::uint8_t, 40> kOptions{1, 1, 1, 1};  // no operation; the rest ends the list
constexpr packet::UdpHeader kSplitUdp{.source_port = 4000, .destination_port = 53};
constexpr packet::TcpHeader kSplitTcp{.source_port = 4000, .destination_port = 80, .flags = packet::TcpHeader::ack};
constexpr packet::Ipv6Header kIpv6{.source = {0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
                                   .destination = {0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};

packet::Ipv4Header ipv4(packet::Ipv4Header header = {}) {
  header.source = {192, 0, 2, 1};
  header.destination = {198, 51, 100, 7};
  return header;
}

/// `add` adds the headers behind the Ethernet header.
template <class Add>
Bytes frame(const Add& add, std::size_t payload = 100) {
  Bytes memory(16384);
  Bytes data(payload);
  for (std::size_t i = 0; i < payload; ++i) data[i] = static_cast<std::uint8_t>(i * 7 + 3);
  packet::Builder builder(memory);
  builder.ethernet(
      {.destination = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, .source = {2, 0, 0, 0, 0, 1}, .ether_type = 0x88B5});
  add(builder);
  if (payload != 0) builder.payload(data);
  const auto made = builder.finish();
  if (!made) throw std::logic_error(made.error().message());
  return {made->begin(), made->end()};
}

/// IPv6 with a fragment header of the first fragment of a UDP datagram, which is part of the payload.
Bytes ipv6_fragment() {
  packet::Ipv6Header header = kIpv6;
  header.next_header = 44;
  Bytes bytes = frame([&](auto& to) { to.ipv6(header); });
  const Bytes fragment{17, 0, 0, 1, 0, 0, 0, 7};
  std::copy(fragment.begin(), fragment.end(), bytes.begin() + 54);
  return bytes;
}

}  // namespace

Bytes tcp_segment(std::size_t payload) {
  return frame([](auto& to) { to.ipv4(ipv4()).tcp(kSplitTcp); }, payload);
}

Bytes tcp_headers_alone() {
  packet::TcpHeader tcp = kSplitTcp;
  tcp.options = kOptions;
  return frame([&](auto& to) { to.ipv4(ipv4({.options = std::span(kOptions).first(20)})).tcp(tcp); }, 0);
}

Bytes cut_tcp_segment() {
  Bytes bytes = tcp_segment(10);
  bytes[14 + 20 + 12] = 0xF0;
  return bytes;
}

std::vector<SplittableFrame> splittable_frames() {
  packet::TcpHeader tcp = kSplitTcp;
  tcp.options = std::span(kOptions).first(12);
  const auto with_protocol = [](std::uint8_t protocol) {
    return frame([&](auto& to) { to.ipv4(ipv4({.protocol = protocol})); });
  };
  return {
      {"udp over ipv4", frame([](auto& to) { to.ipv4(ipv4()).udp(kSplitUdp); }), 42},
      {"tcp over ipv4", tcp_segment(100), 54},
      {"tcp over ipv4, both with options",
       frame([&](auto& to) { to.ipv4(ipv4({.options = std::span(kOptions).first(8)})).tcp(tcp); }), 74},
      {"udp over ipv6", frame([](auto& to) { to.ipv6(kIpv6).udp(kSplitUdp); }), 62},
      {"tcp over ipv6", frame([](auto& to) { to.ipv6(kIpv6).tcp(kSplitTcp); }), 74},
      {"tagged udp", frame([](auto& to) { to.vlan({.id = 7}).ipv4(ipv4()).udp(kSplitUdp); }), 46},
      {"first fragment of ipv4", frame([](auto& to) { to.ipv4(ipv4({.more_fragments = true})).udp(kSplitUdp); }), 34},
      {"later fragment of ipv4", frame([](auto& to) { to.ipv4(ipv4({.fragment_offset = 185, .protocol = 17})); }), 34},
      {"fragment of ipv6", ipv6_fragment(), 54, false},
      {"headers alone", tcp_headers_alone(), 114},
      {"neither ip nor arp", frame([](auto&) {}), 0},
      {"icmp", with_protocol(1), 0, false},
      {"sctp", with_protocol(132), 0, false},
      {"nfs", frame([](auto& to) { to.ipv4(ipv4()).udp({.source_port = 700, .destination_port = 2049}); }), 0, false},
  };
}

}  // namespace pollux::test
