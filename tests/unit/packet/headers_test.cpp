// SPDX-License-Identifier: BSD-3-Clause
// Headers are written and read back. The expected bytes were written by hand from the RFCs' diagrams.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <vector>

#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/transport.hpp"

namespace pollux::packet {
namespace {

using Octets = std::vector<std::uint8_t>;

/// Writes `header` into memory of each size. If it fits, the result is `expected`; otherwise nothing is written.
template <class Header>
void expect_writes(const Header& header, const Octets& expected) {
  for (std::size_t size = 0; size <= expected.size() + 1; ++size) {
    Octets memory(size, 0xA5);
    const Octets before = memory;
    if (size < expected.size()) {
      EXPECT_EQ(header.write(memory), 0U);
      EXPECT_EQ(memory, before) << "of " << size << " bytes";
      EXPECT_FALSE(Header::read(std::span(expected).first(size)).has_value());
      continue;
    }
    EXPECT_EQ(header.write(memory), expected.size());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), memory.begin()));
    if (size > expected.size()) {
      EXPECT_EQ(memory.back(), 0xA5);
    }
  }
}

const EthernetHeader kEthernet{
    .destination = {1, 2, 3, 4, 5, 6}, .source = {7, 8, 9, 10, 11, 12}, .ether_type = 0x88B5};

TEST(Headers, OfEthernet) {
  const Octets bytes{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x88, 0xB5};
  expect_writes(kEthernet, bytes);
  EXPECT_EQ(EthernetHeader::read(bytes), kEthernet);
}

TEST(Headers, OfTags) {
  const VlanHeader tag{.id = 0xABC, .priority = 5, .drop_eligible = true, .ether_type = 0x0800};
  const Octets bytes{0xBA, 0xBC, 0x08, 0x00};
  expect_writes(tag, bytes);
  EXPECT_EQ(VlanHeader::read(bytes), tag);
  EXPECT_EQ(tag.tag_control(), 0xBABC);
  Octets memory(4);
  EXPECT_EQ((VlanHeader{.id = 4096}).write(memory), 0U);
  EXPECT_EQ((VlanHeader{.priority = 8}).write(memory), 0U);
  EXPECT_EQ(memory, Octets(4));
  for (const int type : {0x8100, 0x88A8, 0x9100}) EXPECT_TRUE(is_vlan(static_cast<std::uint16_t>(type)));
  for (const int type : {0x0800, 0x8101, 0x86DD}) EXPECT_FALSE(is_vlan(static_cast<std::uint16_t>(type)));
}

TEST(Headers, OfArp) {
  const ArpHeader arp{.operation = ArpHeader::kReply,
                      .sender_mac = {1, 2, 3, 4, 5, 6},
                      .sender = {10, 0, 0, 1},
                      .target_mac = {7, 8, 9, 10, 11, 12},
                      .target = {10, 0, 0, 2}};
  Octets bytes{0, 1, 8, 0, 6, 4, 0, 2, 1, 2, 3, 4, 5, 6, 10, 0, 0, 1, 7, 8, 9, 10, 11, 12, 10, 0, 0, 2};
  expect_writes(arp, bytes);
  EXPECT_EQ(ArpHeader::read(bytes), arp);
  for (std::size_t i = 0; i < 6; ++i) {
    Octets other = bytes;
    ++other[i];
    EXPECT_FALSE(ArpHeader::read(other).has_value()) << "of other hardware or protocols, byte " << i;
  }
}

TEST(Headers, OfIpv4) {
  const Octets options{0x94, 4, 0, 0};
  const Ipv4Header ip{.traffic_class = 0xB8,
                      .total_length = 0x1234,
                      .identification = 0x5678,
                      .dont_fragment = true,
                      .more_fragments = true,
                      .fragment_offset = 0x1ABC,
                      .time_to_live = 3,
                      .protocol = 17,
                      .checksum = 0x9ABC,
                      .source = {192, 0, 2, 1},
                      .destination = {198, 51, 100, 2},
                      .options = options};
  const Octets bytes{0x46, 0xB8, 0x12, 0x34, 0x56, 0x78, 0x7A, 0xBC, 3,    17, 0x9A, 0xBC,
                     192,  0,    2,    1,    198,  51,   100,  2,    0x94, 4,  0,    0};
  expect_writes(ip, bytes);
  const auto back = Ipv4Header::read(bytes);
  ASSERT_TRUE(back.has_value());
  Octets again(24);
  EXPECT_EQ(back->write(again), 24U);
  EXPECT_EQ(again, bytes);
  EXPECT_EQ(back->fragment_offset, 0x1ABC);
  EXPECT_TRUE(back->dont_fragment && back->more_fragments);
  EXPECT_THAT(back->options, testing::ElementsAreArray(options));
}

TEST(Headers, OfInvalidIpv4) {
  Octets memory(64, 0xA5);
  const Octets many(44, 1);
  EXPECT_EQ((Ipv4Header{.fragment_offset = 0x2000}).write(memory), 0U);
  EXPECT_EQ((Ipv4Header{.options = many}).write(memory), 0U);
  EXPECT_EQ((Ipv4Header{.options = std::span(many).first(3)}).write(memory), 0U);
  EXPECT_EQ(memory, Octets(64, 0xA5));
  Octets bytes(60);
  for (const int first : {0x55, 0x44, 0x00}) {
    bytes[0] = static_cast<std::uint8_t>(first);
    EXPECT_FALSE(Ipv4Header::read(bytes).has_value()) << first;
  }
  bytes[0] = 0x4F;
  EXPECT_TRUE(Ipv4Header::read(bytes).has_value());
  EXPECT_FALSE(Ipv4Header::read(std::span(bytes).first(59)).has_value());
}

TEST(Headers, OfIpv6) {
  const Ipv6Header ip{.traffic_class = 0xB8,
                      .flow_label = 0xABCDE,
                      .payload_length = 0x1234,
                      .next_header = 58,
                      .hop_limit = 255,
                      .source = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
                      .destination = {17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32}};
  Octets bytes{0x6B, 0x8A, 0xBC, 0xDE, 0x12, 0x34, 58, 255};
  for (std::uint8_t i = 1; i <= 32; ++i) bytes.push_back(i);
  expect_writes(ip, bytes);
  EXPECT_EQ(Ipv6Header::read(bytes), ip);
  Octets memory(40);
  EXPECT_EQ((Ipv6Header{.flow_label = 0x100000}).write(memory), 0U);
  bytes[0] = 0x4B;
  EXPECT_FALSE(Ipv6Header::read(bytes).has_value());
}

TEST(Headers, OfUdp) {
  const UdpHeader udp{.source_port = 0x1234, .destination_port = 0x5678, .length = 0x9ABC, .checksum = 0xDEF0};
  const Octets bytes{0x12, 0x34, 0x56, 0x78, 0x9A, 0xBC, 0xDE, 0xF0};
  expect_writes(udp, bytes);
  EXPECT_EQ(UdpHeader::read(bytes), udp);
}

TEST(Headers, OfTcp) {
  const Octets options{2, 4, 5, 0xB4};
  const TcpHeader tcp{.source_port = 0x0102,
                      .destination_port = 0x0304,
                      .sequence = 0x05060708,
                      .acknowledgment = 0x090A0B0C,
                      .flags = TcpHeader::syn | TcpHeader::ece,
                      .window = 0x0E0F,
                      .checksum = 0x1011,
                      .urgent = 0x1213,
                      .options = options};
  const Octets bytes{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x60, 0x42, 14, 15, 16, 17, 18, 19, 2, 4, 5, 0xB4};
  expect_writes(tcp, bytes);
  const auto back = TcpHeader::read(bytes);
  ASSERT_TRUE(back.has_value());
  Octets again(24);
  EXPECT_EQ(back->write(again), 24U);
  EXPECT_EQ(again, bytes);
  const Octets many(44, 1);
  EXPECT_EQ((TcpHeader{.options = many}).write(again), 0U);
  EXPECT_EQ((TcpHeader{.options = std::span(many).first(5)}).write(again), 0U);
  Octets odd = bytes;
  odd[12] = 0x40;
  EXPECT_FALSE(TcpHeader::read(odd).has_value()) << "the length is shorter than the header";
}

}  // namespace
}  // namespace pollux::packet
