// SPDX-License-Identifier: BSD-3-Clause
#include "silicon_probe/frames.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "pollux/net/packet/builder.hpp"

namespace pollux::silicon {
namespace {

namespace protocol = packet::ip_protocol;
namespace rx = hw::intel::rx;
using packet::Builder;

constexpr MacAddress kSource{0x02, 0, 0, 0, 0, 0x01};
constexpr packet::Ipv6Address kFrom{0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
constexpr packet::Ipv6Address kTo{0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};
constexpr std::array<std::uint8_t, 4> kNoOperation{1, 1, 1, 1};  // an IPv4 option

packet::Ipv4Header ipv4(std::uint8_t next = 253) {
  return {.identification = kIpId, .protocol = next, .source = {192, 0, 2, 1}, .destination = {198, 51, 100, 7}};
}

packet::Ipv4Header ipv4_with_options() {
  auto header = ipv4();
  header.options = kNoOperation;
  return header;
}

packet::Ipv6Header ipv6(std::uint8_t next = 59) { return {.next_header = next, .source = kFrom, .destination = kTo}; }

template <class Fill>
Frame built(Fill fill) {
  std::array<std::uint8_t, 256> memory{};
  Builder builder(memory);
  builder.ethernet({.destination = kBroadcastAddress, .source = kSource, .ether_type = 0x88B5});
  fill(builder);
  const auto made = builder.finish();
  return made ? Frame(made->begin(), made->end()) : Frame();
}

// A destination options header with padding, then nothing or TCP.
std::array<std::uint8_t, 8> destination_options(std::uint8_t next) { return {next, 0, 1, 4, 0, 0, 0, 0}; }

}  // namespace

Frame plain_frame(std::size_t bytes, std::uint8_t seed, unsigned tags, const MacAddress& to) {
  Frame frame(std::max<std::size_t>(bytes, 14));
  std::copy(to.begin(), to.end(), frame.begin());
  std::copy(kSource.begin(), kSource.end(), frame.begin() + 6);
  std::size_t at = 12;
  for (unsigned tag = 0; tag < tags; ++tag, at += 4) {
    const std::array<std::uint8_t, 4> bytes_of_tag{0x81, 0x00, 0x00, 0x05};
    std::copy(bytes_of_tag.begin(), bytes_of_tag.end(), frame.begin() + static_cast<std::ptrdiff_t>(at));
  }
  frame[at] = 0x88;
  frame[at + 1] = 0xB5;
  for (std::size_t i = at + 2; i < frame.size(); ++i) frame[i] = static_cast<std::uint8_t>(i * 7 + seed);
  frame.resize(bytes);
  return frame;
}

std::uint32_t fcs_of(const Frame& frame) {
  std::uint32_t crc = ~0U;
  for (const std::uint8_t byte : frame) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320U : 0);
  }
  return ~crc;
}

// [I-PTYPE] [I-PTYPEEXT] [I-RSSTYPE] The expected values are the readings of docs/82576/interpretations.md.
std::vector<PacketCase> packet_cases() {
  const packet::UdpHeader udp{.source_port = 4000, .destination_port = 53};
  const packet::TcpHeader tcp{.source_port = 2794, .destination_port = 1766};
  const auto alone = destination_options(59);
  std::vector<PacketCase> cases;
  const auto add = [&](std::string_view name, std::uint32_t packet_type, std::optional<rx::RssType> rss, auto fill) {
    const auto rss_type = rss ? std::optional(static_cast<std::uint32_t>(*rss)) : std::nullopt;
    cases.push_back({name, built(fill), packet_type, rss_type});
  };
  add("IPv4", rx::kTypeIpv4, rx::RssType::ipv4, [&](Builder& b) { b.ipv4(ipv4()); });
  add("TCP over IPv4", rx::kTypeIpv4 | rx::kTypeTcp, rx::RssType::tcp_ipv4,
      [&](Builder& b) { b.ipv4(ipv4()).tcp(tcp); });
  add("UDP over IPv4", rx::kTypeIpv4 | rx::kTypeUdp, rx::RssType::udp_ipv4,
      [&](Builder& b) { b.ipv4(ipv4()).udp(udp); });
  add("IPv4 with options", rx::kTypeIpv4 | rx::kTypeIpv4Options, rx::RssType::ipv4,
      [&](Builder& b) { b.ipv4(ipv4_with_options()); });
  add("IPv6", rx::kTypeIpv6, rx::RssType::ipv6, [&](Builder& b) { b.ipv6(ipv6()); });
  add("TCP over IPv6", rx::kTypeIpv6 | rx::kTypeTcp, rx::RssType::tcp_ipv6,
      [&](Builder& b) { b.ipv6(ipv6()).tcp(tcp); });
  add("UDP over IPv6", rx::kTypeIpv6 | rx::kTypeUdp, rx::RssType::udp_ipv6,
      [&](Builder& b) { b.ipv6(ipv6()).udp(udp); });
  add("IPv6 with destination options", rx::kTypeIpv6 | rx::kTypeIpv6Extensions, std::nullopt,
      [&](Builder& b) { b.ipv6(ipv6(protocol::kDestinationOptions)).payload(alone); });
  return cases;
}

}  // namespace pollux::silicon
