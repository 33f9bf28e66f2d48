// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/packet/parse.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "pollux/net/packet/ip.hpp"
#include "support/various_frames.hpp"

namespace pollux::packet {
namespace {

using Octets = std::vector<std::uint8_t>;

constexpr std::uint32_t k4 = PacketType::ipv4;
constexpr std::uint32_t k4Options = k4 | PacketType::ipv4_options;
constexpr std::uint32_t k6 = PacketType::ipv6;
constexpr std::uint32_t k6Extended = k6 | PacketType::ipv6_extensions;

/// The fields of a Layout that the table checks.
struct Expected {
  std::uint32_t type;
  std::uint16_t l3, l4, payload, end;
  Fragment fragment = Fragment::none;
  bool truncated = false;
  bool malformed = false;
};

// Derived by hand from the frames' headers. Frames that are not listed carry a payload of 0, 1 or 1,000 bytes: see
// below.
const std::map<std::string, Expected>& expectations() {
  using enum Fragment;
  constexpr bool kTruncated = true;
  static const std::map<std::string, Expected> table{
      {"no IP", {0, 14, 0, 14, 60}},
      {"ARP", {0, 14, 0, 14, 60}},
      {"VLAN, IPv4, UDP", {k4 | PacketType::udp, 18, 38, 46, 79}},
      {"VLAN, IPv6, TCP", {k6 | PacketType::tcp, 18, 58, 78, 79}},
      {"QinQ, IPv4, TCP", {k4 | PacketType::tcp, 22, 42, 62, 82}},
      {"IPv4, SCTP", {k4 | PacketType::sctp, 14, 34, 46, 46}},
      {"IPv4, ICMP", {k4, 14, 34, 34, 42}},
      {"IPv4, first fragment of UDP", {k4, 14, 34, 42, 106, first}},
      {"IPv4, last fragment of UDP", {k4, 14, 0, 34, 98, later}},
      {"IPv6, ICMPv6", {k6, 14, 54, 54, 62}},
      {"IPv6, hop-by-hop and destination options, no next header", {k6Extended, 14, 78, 78, 86}},
      {"IPv6, first fragment of TCP", {k6Extended, 14, 62, 82, 102, first}},
      {"IPv6, later fragment of TCP", {k6Extended, 14, 0, 62, 102, later}},
      {"IPv6, atomic fragment of TCP", {k6Extended, 14, 62, 82, 102, first}},
      {"IPv6, routing header, no next header", {k6Extended, 14, 62, 62, 70}},
      {"odd IPv4 of version 5", {0, 14, 0, 14, 74, none, false, true}},
      {"odd IPv4 header of 16 bytes", {0, 14, 0, 14, 74, none, false, true}},
      {"odd IPv4 header of 60 bytes in 60", {k4Options, 14, 74, 74, 74, none, kTruncated}},
      {"odd IPv4 longer than the frame", {k4 | PacketType::udp, 14, 34, 42, 74, none, kTruncated}},
      {"odd IPv4 shorter than its header", {k4 | PacketType::udp, 14, 34, 34, 34, none, false, true}},
      {"odd IPv4 that ends within UDP", {k4 | PacketType::udp, 14, 34, 34, 38, none, false, true}},
      {"odd UDP of 7 bytes", {k4 | PacketType::udp, 14, 34, 34, 74, none, false, true}},
      {"odd UDP longer than IPv4", {k4 | PacketType::udp, 14, 34, 34, 74, none, false, true}},
      {"odd IPv6 of version 4", {0, 14, 0, 14, 106, none, false, true}},
      {"odd TCP header of 16 bytes", {k6 | PacketType::tcp, 14, 54, 54, 106, none, false, true}},
      {"odd TCP header of 60 bytes in 52", {k6 | PacketType::tcp, 14, 54, 54, 106, none, kTruncated}},
      {"odd IPv6 with an extension header beyond the frame", {k6Extended, 14, 0, 54, 106, none, kTruncated}},
      {"odd IPv6 longer than the frame", {k6 | PacketType::tcp, 14, 54, 74, 106, none, kTruncated}},
      {"odd IPv4 header of 60 bytes in 46", {0, 14, 0, 14, 60, none, kTruncated}}};
  return table;
}

void expect(const Layout& layout, const Expected& due, const std::string& name) {
  EXPECT_EQ(layout.type.bits, due.type) << name;
  EXPECT_EQ(layout.l3, due.l3) << name;
  EXPECT_EQ(layout.l4, due.l4) << name;
  EXPECT_EQ(layout.payload, due.payload) << name;
  EXPECT_EQ(layout.end, due.end) << name;
  EXPECT_EQ(layout.fragment, due.fragment) << name;
  EXPECT_EQ(layout.truncated, due.truncated) << name;
  EXPECT_EQ(layout.malformed, due.malformed) << name;
}

/// The expected layout of a frame with that payload after headers of these lengths.
Expected sized(const std::string& name) {
  const auto payload = static_cast<std::uint16_t>(std::stoul(name.substr(name.rfind(' ') + 1)));
  const bool is_tcp = name.find("TCP") != std::string::npos;
  const std::uint32_t l4_type = is_tcp ? PacketType::tcp : PacketType::udp;
  Expected due{k4 | l4_type, 14, 34, static_cast<std::uint16_t>(34 + (is_tcp ? 20 : 8)), 0};
  const auto move = [&](int l4, int by) {
    due.l4 = static_cast<std::uint16_t>(l4);
    due.payload = static_cast<std::uint16_t>(due.payload + by);
  };
  if (name.starts_with("IPv6")) {
    due.type = k6 | l4_type;
    move(54, 20);
  } else if (name.starts_with("IPv4 with options")) {
    due.type |= PacketType::ipv4_options;
    move(38, 4 + 40);
  } else if (name.starts_with("IPv4 with 40")) {
    due.type |= PacketType::ipv4_options;
    move(74, 40);
  }
  due.end = static_cast<std::uint16_t>(due.payload + payload);
  return due;
}

TEST(Parse, FindsTheHeadersOfTheExpectedFrames) {
  std::size_t in_table = 0;
  for (const test::NamedFrame& frame : test::various_frames()) {
    ASSERT_GE(frame.bytes.size(), 60U) << frame.name;
    const auto found = expectations().find(frame.name);
    if (found != expectations().end()) {
      ++in_table;
      expect(parse(frame.bytes), found->second, frame.name);
    } else {
      ASSERT_NE(frame.name.find("payload of "), std::string::npos) << frame.name << " is in no table";
      expect(parse(frame.bytes), sized(frame.name), frame.name);
    }
  }
  EXPECT_EQ(in_table, expectations().size()) << "the table lists a frame that is never built";
}

Octets frame_named(const std::string& name) {
  const auto frames = test::various_frames();
  const auto found = std::find_if(frames.begin(), frames.end(), [&](const auto& frame) { return frame.name == name; });
  EXPECT_NE(found, frames.end()) << name;
  return found != frames.end() ? found->bytes : Octets(60);
}

TEST(Parse, ReadsTags) {
  const Layout one = parse(frame_named("VLAN, IPv4, UDP"));
  EXPECT_EQ(one.vlan_count, 1);
  EXPECT_EQ(one.vlans[0], 0x602A);
  EXPECT_EQ(one.ether_type, 0x0800);
  EXPECT_EQ(one.l2_length(), 18);
  const Layout two = parse(frame_named("QinQ, IPv4, TCP"));
  EXPECT_EQ(two.vlan_count, 2);
  EXPECT_THAT(two.vlans, testing::ElementsAre(0x2007, 0x1009));
  EXPECT_EQ(two.l3_length(), 20);
  EXPECT_EQ(two.l4_length(), 20);
  EXPECT_EQ(two.payload_length(), 20);
  EXPECT_EQ(two.protocol, ip_protocol::kTcp);
}

TEST(Parse, TreatsAThirdTagAsPayload) {
  Octets bytes(60);
  for (const std::size_t at : {12U, 16U, 20U}) bytes[at] = 0x81;
  bytes[24] = 0x08;
  const Layout layout = parse(bytes);
  EXPECT_EQ(layout.vlan_count, 2);
  EXPECT_EQ(layout.ether_type, 0x8100);
  EXPECT_EQ(layout.payload, 22);
  EXPECT_EQ(layout.type.bits, 0U);
}

// Software may parse the transport header of a first fragment, although no card does.
TEST(Parse, FindsTheTransportHeaderInAFirstFragment) {
  const Layout layout = parse(frame_named("IPv4, first fragment of UDP"));
  EXPECT_FALSE(layout.type.has(PacketType::udp));
  EXPECT_EQ(layout.protocol, ip_protocol::kUdp);
  EXPECT_EQ(layout.l4_length(), 8);
}

// Cuts each frame at each length: the parser reports what is left.
TEST(Parse, ReportsTruncationAtEveryLength) {
  for (const test::NamedFrame& frame : test::various_frames()) {
    if (frame.name.starts_with("odd ")) continue;
    const Layout whole = parse(frame.bytes);
    for (std::size_t length = 0; length < whole.end && length < 130; ++length) {
      const Octets cut(frame.bytes.begin(), frame.bytes.begin() + static_cast<std::ptrdiff_t>(length));
      const Layout layout = parse(cut);
      ASSERT_LE(layout.end, length) << frame.name;
      ASSERT_EQ(layout.type.bits & ~whole.type.bits, 0U) << frame.name << " cut to " << length;
      const bool is_without_length = !whole.is_ip() && length >= whole.l3;
      ASSERT_EQ(layout.truncated, !is_without_length) << frame.name << " cut to " << length;
      // The same bytes as the start of a longer frame.
      const Layout first = parse(cut, frame.bytes.size());
      ASSERT_EQ(first.type.bits, layout.type.bits) << frame.name << " cut to " << length;
      if (whole.malformed) continue;
      ASSERT_EQ(first.truncated, length < whole.payload) << frame.name << " cut to " << length;
      if (!first.truncated) {
        ASSERT_EQ(first.end, whole.end) << frame.name << " cut to " << length;
      }
    }
  }
}

TEST(Parse, ParsesAtMost65535Bytes) {
  Octets bytes = frame_named("IPv4, UDP, payload of 0");
  bytes.resize(70'000);
  EXPECT_EQ(parse(bytes).end, 42);
  bytes[12] = 0x88;
  bytes[13] = 0xB5;
  EXPECT_EQ(parse(bytes).end, 65535);
  EXPECT_EQ(parse(Octets()).end, 0);
  EXPECT_TRUE(parse(Octets()).truncated);
  // A frame length below the number of bytes.
  EXPECT_EQ(parse(std::span(bytes).first(60), 0).end, 60);
}

// Extension headers up to the end of the frame.
TEST(Parse, EndsInALongChainOfExtensionHeaders) {
  Octets bytes = frame_named("IPv6, UDP, payload of 1");
  bytes.resize(65'535);
  bytes[18] = 0xFF;
  bytes[19] = 0xF0;
  bytes[20] = ip_protocol::kDestinationOptions;
  for (std::size_t at = 54; at + 8 <= bytes.size(); at += 8) {
    bytes[at] = ip_protocol::kDestinationOptions;
    bytes[at + 1] = 0;
  }
  const Layout layout = parse(bytes);
  EXPECT_EQ(layout.type.bits, k6Extended);
  EXPECT_TRUE(layout.truncated);
  EXPECT_EQ(layout.l4, 0);
}

}  // namespace
}  // namespace pollux::packet
