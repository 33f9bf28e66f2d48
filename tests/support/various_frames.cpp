// SPDX-License-Identifier: BSD-3-Clause
#include "support/various_frames.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <utility>

#include "pollux/net/packet/builder.hpp"

namespace pollux::test {
namespace {

using packet::Builder;
using packet::Ipv4Header;
using packet::Ipv6Header;
namespace protocol = packet::ip_protocol;
using Octets = std::vector<std::uint8_t>;

constexpr std::size_t kIp = 14;
constexpr std::size_t kIpv4End = kIp + Ipv4Header::kLength;

/// Builds one frame from headers.
class Maker {
 public:
  explicit Maker(std::string name) : name_(std::move(name)) {
    builder_.ethernet(
        {.destination = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, .source = {2, 0, 0, 0, 0, 1}, .ether_type = 0x88B5});
  }
  Builder& headers() { return builder_; }
  Builder& ipv4(Ipv4Header header = {}) {
    header.source = {192, 0, 2, 1};
    header.destination = {198, 51, 100, 7};
    return builder_.ipv4(header);
  }
  Builder& ipv6(std::uint8_t next = 0) {
    return builder_.ipv6({.next_header = next,
                          .source = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
                          .destination = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}});
  }
  /// Returns the frame, with some bytes changed.
  NamedFrame finish(std::initializer_list<std::pair<std::size_t, std::uint8_t>> changes = {}) {
    const auto made = builder_.finish();
    if (!made) return {name_ + ": " + made.error().message(), {}};
    NamedFrame frame{name_, {made->begin(), made->end()}};
    for (const auto& [at, byte] : changes) frame.bytes[at] = byte;
    return frame;
  }

 private:
  std::string name_;
  std::array<std::uint8_t, 1514> memory_{};
  Builder builder_{memory_};
};

constexpr packet::UdpHeader kUdpHeader{.source_port = 4000, .destination_port = 53};
constexpr packet::TcpHeader kTcpHeader{.source_port = 2794,
                                       .destination_port = 1766,
                                       .sequence = 1,
                                       .acknowledgment = 2,
                                       .flags = packet::TcpHeader::ack,
                                       .window = 512};

Octets counted(std::size_t count) {
  Octets bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + 1);
  return bytes;
}

void add_tagged(std::vector<NamedFrame>& frames) {
  Maker none("no IP");
  none.headers().payload(counted(46));
  frames.push_back(none.finish());
  Maker arp("ARP");
  arp.headers().arp({.sender = {192, 0, 2, 1}, .target = {192, 0, 2, 2}});
  frames.push_back(arp.finish());
  Maker tagged("VLAN, IPv4, UDP");
  tagged.headers().vlan({.id = 42, .priority = 3});
  tagged.ipv4().udp(kUdpHeader).payload(counted(33));
  frames.push_back(tagged.finish());
  Maker tagged6("VLAN, IPv6, TCP");
  tagged6.headers().vlan({.id = 1});
  tagged6.ipv6().tcp(kTcpHeader).payload(counted(1));
  frames.push_back(tagged6.finish());
  Maker stacked("QinQ, IPv4, TCP");
  stacked.headers().vlan({.id = 7, .priority = 1}, packet::ether_type::kService).vlan({.id = 9, .drop_eligible = true});
  stacked.ipv4().tcp(kTcpHeader).payload(counted(20));
  frames.push_back(stacked.finish());
}

void add_ipv4(std::vector<NamedFrame>& frames) {
  const Octets options = {1, 1, 1, 0};
  const Octets most_options(40, 1);
  for (const std::size_t payload : {std::size_t{0}, std::size_t{1}, std::size_t{1000}}) {
    const std::string size = ", payload of " + std::to_string(payload);
    Maker udp("IPv4, UDP" + size);
    udp.ipv4().udp(kUdpHeader).payload(counted(payload));
    frames.push_back(udp.finish());
    Maker tcp("IPv4, TCP" + size);
    tcp.ipv4().tcp(kTcpHeader).payload(counted(payload));
    frames.push_back(tcp.finish());
    Maker with_options("IPv4 with options, TCP with options" + size);
    packet::TcpHeader header = kTcpHeader;
    header.options = most_options;
    with_options.ipv4({.options = options}).tcp(header).payload(counted(payload));
    frames.push_back(with_options.finish());
    Maker longest("IPv4 with 40 bytes of options, UDP" + size);
    longest.ipv4({.options = most_options}).udp(kUdpHeader).payload(counted(payload));
    frames.push_back(longest.finish());
  }
  Maker sctp("IPv4, SCTP");  // checksum by scapy 2.5.0
  sctp.ipv4({.protocol = protocol::kSctp}).payload(Octets{3, 232, 7, 208, 0, 0, 0, 0, 204, 115, 196, 130});
  frames.push_back(sctp.finish());
  Maker icmp("IPv4, ICMP");
  icmp.ipv4({.protocol = protocol::kIcmp}).payload(Octets{8, 0, 0xF7, 0xFF, 0, 0, 0, 0});
  frames.push_back(icmp.finish());
  Maker first("IPv4, first fragment of UDP");
  first.ipv4({.more_fragments = true}).udp(kUdpHeader).payload(counted(64));
  frames.push_back(first.finish());
  Maker last("IPv4, last fragment of UDP");
  last.ipv4({.fragment_offset = 9, .protocol = protocol::kUdp}).payload(counted(64));
  frames.push_back(last.finish());
}

/// An IPv6 packet with extension headers and a payload without a layer 4 checksum.
NamedFrame extended(const std::string& name, std::uint8_t first, const Octets& extensions, std::size_t payload) {
  Maker maker("IPv6, " + name);
  Octets bytes = extensions;
  const Octets rest = counted(payload);
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  maker.ipv6(first).payload(bytes);
  return maker.finish();
}

void add_ipv6(std::vector<NamedFrame>& frames) {
  for (const std::size_t payload : {std::size_t{0}, std::size_t{1}, std::size_t{1000}}) {
    const std::string size = ", payload of " + std::to_string(payload);
    Maker udp("IPv6, UDP" + size);
    udp.ipv6().udp(kUdpHeader).payload(counted(payload));
    frames.push_back(udp.finish());
    Maker tcp("IPv6, TCP" + size);
    tcp.ipv6().tcp(kTcpHeader).payload(counted(payload));
    frames.push_back(tcp.finish());
  }
  Maker icmp("IPv6, ICMPv6");
  icmp.ipv6(protocol::kIcmpv6).payload(Octets{128, 0, 0, 0, 0, 1, 0, 1});
  frames.push_back(icmp.finish());
  const Octets hop_by_hop = {protocol::kDestinationOptions, 0, 1, 4, 0, 0, 0, 0};
  Octets both = hop_by_hop;
  const Octets options16 = {59, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  both.insert(both.end(), options16.begin(), options16.end());
  frames.push_back(extended("hop-by-hop and destination options, no next header", protocol::kHopByHop, both, 8));
  frames.push_back(extended("first fragment of TCP", protocol::kFragment, {protocol::kTcp, 0, 0, 1, 0, 0, 0, 9}, 40));
  frames.push_back(extended("later fragment of TCP", protocol::kFragment, {protocol::kTcp, 0, 0, 9, 0, 0, 0, 9}, 40));
  frames.push_back(extended("atomic fragment of TCP", protocol::kFragment, {protocol::kTcp, 0, 0, 0, 0, 0, 0, 9}, 40));
  frames.push_back(extended("routing header, no next header", protocol::kRouting, {59, 0, 4, 0, 0, 0, 0, 0}, 8));
}

/// A copy of `frame` with another name and some bytes changed.
NamedFrame changed(const NamedFrame& frame, const std::string& name,
                   std::initializer_list<std::pair<std::size_t, std::uint8_t>> changes) {
  NamedFrame other{"odd " + name, frame.bytes};
  for (const auto& [at, byte] : changes) other.bytes[at] = byte;
  return other;
}

void add_odd(std::vector<NamedFrame>& frames) {
  Maker udp_maker("");
  udp_maker.ipv4().udp(kUdpHeader).payload(counted(32));
  const NamedFrame udp = udp_maker.finish();
  Maker tcp_maker("");
  tcp_maker.ipv6().tcp(kTcpHeader).payload(counted(32));
  const NamedFrame tcp = tcp_maker.finish();
  frames.push_back(changed(udp, "IPv4 of version 5", {{kIp, 0x55}}));
  frames.push_back(changed(udp, "IPv4 header of 16 bytes", {{kIp, 0x44}}));
  frames.push_back(changed(udp, "IPv4 header of 60 bytes in 60", {{kIp, 0x4F}}));
  frames.push_back(changed(udp, "IPv4 longer than the frame", {{kIp + 2, 0xFF}}));
  frames.push_back(changed(udp, "IPv4 shorter than its header", {{kIp + 3, 19}}));
  frames.push_back(changed(udp, "IPv4 that ends within UDP", {{kIp + 3, 24}}));
  frames.push_back(changed(udp, "UDP of 7 bytes", {{kIpv4End + 5, 7}}));
  frames.push_back(changed(udp, "UDP longer than IPv4", {{kIpv4End + 4, 1}}));
  frames.push_back(changed(tcp, "IPv6 of version 4", {{kIp, 0x40}}));
  frames.push_back(changed(tcp, "TCP header of 16 bytes", {{kIp + 40 + 12, 0x40}}));
  frames.push_back(changed(tcp, "TCP header of 60 bytes in 52", {{kIp + 40 + 12, 0xF0}}));
  frames.push_back(changed(tcp, "IPv6 with an extension header beyond the frame", {{kIp + 6, 0}, {kIp + 41, 40}}));
  frames.push_back(changed(tcp, "IPv6 longer than the frame", {{kIp + 4, 5}}));
  NamedFrame cut = changed(udp, "IPv4 header of 60 bytes in 46", {{kIp, 0x4F}});
  cut.bytes.resize(60);
  frames.push_back(cut);
}

}  // namespace

std::vector<NamedFrame> various_frames() {
  std::vector<NamedFrame> frames;
  add_tagged(frames);
  add_ipv4(frames);
  add_ipv6(frames);
  add_odd(frames);
  return frames;
}

}  // namespace pollux::test
