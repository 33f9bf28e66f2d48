// SPDX-License-Identifier: BSD-3-Clause
// What the builder fills in and what it rejects. In tests/interop, scapy checks whole frames.
#include "pollux/net/packet/builder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "pollux/net/packet/classify.hpp"
#include "pollux/net/packet/sums.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux::packet {
namespace {

using testing::HasSubstr;
using Octets = std::vector<std::uint8_t>;

class BuilderTest : public testing::Test {
 protected:
  BuilderTest() { memory_.fill(0xA5); }
  /// A builder for `room` bytes with an Ethernet header.
  [[nodiscard]] Builder with_ethernet(std::size_t size = 1514) {
    Builder builder(std::span<std::uint8_t>(memory_).first(size));
    builder.ethernet({.destination = {1, 2, 3, 4, 5, 6}, .source = {2, 0, 0, 0, 0, 1}, .ether_type = 0x88B5});
    return builder;
  }
  static void expect_error(Builder& builder, const std::string& what, std::size_t min_length = 0) {
    const auto made = builder.finish(min_length);
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(made.error().what, HasSubstr(what));
    EXPECT_NE(made.error().hint, "");
  }

  std::array<std::uint8_t, 70'000> memory_{};
};

// Checked by hand against RFC 791 and RFC 768.
TEST_F(BuilderTest, FillsInDependentFields) {
  Builder builder = with_ethernet();
  const auto made = builder.ipv4({.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}})
                        .udp({.source_port = 1, .destination_port = 2})
                        .payload(Octets{0xAB})
                        .finish(0);
  ASSERT_TRUE(made.has_value()) << made.error().message();
  EXPECT_THAT(*made, testing::ElementsAre(1, 2, 3, 4, 5, 6, 2, 0, 0, 0, 0, 1, 0x08, 0x00,                            //
                                          0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0x66, 0xCE, 10, 0, 0, 1, 10, 0, 0, 2,  //
                                          0, 1, 0, 2, 0, 9, 0x40, 0xD6, 0xAB));
  EXPECT_EQ(memory_[43], 0xA5) << "written beyond the frame";
}

TEST_F(BuilderTest, PadsWithZerosToTheShortestFrame) {
  Builder builder = with_ethernet();
  const auto made = builder.arp({.operation = ArpHeader::kReply}).finish();
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->size(), 60U);
  EXPECT_THAT(made->subspan(42), testing::Each(0));
  EXPECT_EQ(load16(&(*made)[12]), ether_type::kArp);
  EXPECT_EQ(memory_[60], 0xA5);
}

TEST_F(BuilderTest, KeepsAnEtherTypeThatNoHeaderDetermines) {
  Builder builder = with_ethernet();
  const auto made = builder.vlan({.id = 5, .ether_type = 0x1234}, ether_type::kService).payload(Octets{1}).finish(0);
  ASSERT_TRUE(made.has_value());
  EXPECT_THAT(made->subspan(12), testing::ElementsAre(0x88, 0xA8, 0, 5, 0x12, 0x34, 1));
}

// A sum of zero is sent as all ones.
TEST_F(BuilderTest, NeverWritesAUdpChecksumOfZero) {
  for (std::uint32_t port = 0; port < 0x10000; ++port) {
    Builder builder = with_ethernet();
    const auto made = builder.ipv6({}).udp({.source_port = static_cast<std::uint16_t>(port)}).finish(0);
    ASSERT_TRUE(made.has_value());
    ASSERT_NE(load16(&(*made)[60]), 0) << port;
  }
}

TEST_F(BuilderTest, ComputesChecksumsOfIpv6AndIcmp) {
  for (const std::size_t payload : {0U, 1U, 2U, 777U}) {
    const Octets bytes(payload, 0x5A);
    Builder tcp = with_ethernet();
    auto made =
        tcp.ipv6({.source = {1}, .destination = {2}}).tcp({.options = Octets{1, 1, 1, 1}}).payload(bytes).finish();
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ(l4_checksum(*made, parse(*made)), ChecksumStatus::good);
    EXPECT_EQ(load16(&(*made)[18]), 24 + payload);
    Builder icmp = with_ethernet();
    Octets echo{128, 0, 0xFF, 0xFF};
    echo.insert(echo.end(), bytes.begin(), bytes.end());
    made = icmp.ipv6({.next_header = ip_protocol::kIcmpv6, .source = {1}, .destination = {2}}).payload(echo).finish(0);
    ASSERT_TRUE(made.has_value());
    InternetSum sum =
        pseudo_header(Ipv6Address{1}, Ipv6Address{2}, ip_protocol::kIcmpv6, static_cast<std::uint32_t>(echo.size()));
    sum.add(made->subspan(54));
    EXPECT_TRUE(sum.is_good()) << payload;
  }
}

// The transport checksum covers bytes that are not in this fragment.
TEST_F(BuilderTest, OmitsChecksumsOfFragments) {
  Builder builder = with_ethernet();
  const auto made = builder.ipv4({.more_fragments = true}).udp({.checksum = 0x1234}).payload(Octets(8)).finish();
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(load16(&(*made)[40]), 0);
  EXPECT_EQ(ip_checksum(*made, parse(*made)), ChecksumStatus::good);
}

TEST_F(BuilderTest, KeepsTheDatagramsLengthInItsFirstFragment) {
  const auto length = [this](const Ipv4Header& ip, std::uint16_t given) {
    Builder builder = with_ethernet();
    const auto made = builder.ipv4(ip).udp({.length = given}).payload(Octets(1000)).finish();
    EXPECT_TRUE(made.has_value());
    return made ? load16(&(*made)[38]) : 0;
  };
  EXPECT_EQ(length({.more_fragments = true}, 1808), 1808);
  EXPECT_EQ(length({.more_fragments = true}, 0), 1008) << "of what it has, if none is given";
  EXPECT_EQ(length({}, 1808), 1008) << "in a whole packet the length is filled in";
}

// The options are those of a frame made by scapy.
TEST_F(BuilderTest, ComputesTheChecksumForTheEndOfASourceRoute) {
  const Octets pending{131, 7, 4, 10, 0, 0, 9, 0};
  const Octets ended{131, 7, 8, 10, 0, 0, 9, 0};
  const auto sum = [this](const Octets& options, const Ipv4Address& destination) {
    Builder builder = with_ethernet();
    const auto made = builder.ipv4({.source = {10, 0, 0, 1}, .destination = destination, .options = options})
                          .tcp({.source_port = 7})
                          .payload(Octets(5))
                          .finish(0);
    EXPECT_TRUE(made.has_value());
    return made ? load16(&(*made)[34 + options.size() + 16]) : 0;
  };
  EXPECT_EQ(sum(pending, {10, 0, 0, 2}), sum({}, {10, 0, 0, 9}));
  EXPECT_EQ(sum(ended, {10, 0, 0, 2}), sum({}, {10, 0, 0, 2}));
}

TEST_F(BuilderTest, NamesAHeaderWithoutRoom) {
  struct Case {
    std::size_t size;
    const char* what;
  };
  for (const Case& one :
       {Case{13, "no room for an Ethernet header at byte 0 of 13"}, Case{17, "no room for a VLAN tag at byte 14 of 17"},
        Case{37, "no room for an IPv4 header at byte 18 of 37"}, Case{57, "no room for a TCP header at byte 38 of 57"},
        Case{60, "no room for the payload at byte 58 of 60"}, Case{61, "no room for the padding at byte 61 of 61"}}) {
    memory_.fill(0xA5);
    Builder builder = with_ethernet(one.size);
    builder.vlan({}).ipv4({}).tcp({}).payload(Octets(3));
    expect_error(builder, one.what, 64);
    EXPECT_EQ(memory_[one.size], 0xA5);
  }
  Builder ipv6 = with_ethernet(53);
  expect_error(ipv6.ipv6({}), "an IPv6 header");
  Builder arp = with_ethernet(41);
  expect_error(arp.arp({}), "ARP");
}

TEST_F(BuilderTest, NamesAHeaderOutOfOrder) {
  using Step = std::function<void(Builder&)>;
  const Octets odd(3);
  struct Case {
    const char* what;
    Step steps;
  };
  const std::vector<Case> cases{{"an Ethernet header at byte 14", [](Builder& b) { b.ethernet({}); }},
                                {"a UDP header at byte 14", [](Builder& b) { b.udp({}); }},
                                {"a TCP header at byte 42", [](Builder& b) { b.ipv4({}).udp({}).tcp({}); }},
                                {"a VLAN tag at byte 34", [](Builder& b) { b.ipv4({}).vlan({}).udp({}); }},
                                {"an IPv6 header at byte 34", [](Builder& b) { b.ipv4({}).ipv6({}); }},
                                {"ARP at byte 15", [](Builder& b) { b.payload(Octets(1)).arp({}); }},
                                {"a VLAN tag at byte 14", [](Builder& b) { b.vlan({.id = 4096}); }},
                                {"an IPv4 header at byte 14", [&](Builder& b) { b.ipv4({.options = odd}); }},
                                {"65,535", [](Builder& b) { b.ipv4({}).payload(Octets(65'516)); }}};
  for (const Case& one : cases) {
    Builder builder = with_ethernet(memory_.size());
    one.steps(builder);
    expect_error(builder, one.what);
  }
  Builder nothing(memory_);
  expect_error(nothing, "without an Ethernet header");
  Builder payload(memory_);
  expect_error(payload.payload(Octets(1)), "the payload");
}

// The example in the header file.
TEST_F(BuilderTest, BuildsIntoAnMbuf) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 4});
  const MbufPtr mbuf = pool.allocate();
  const auto frame = Builder({mbuf->tail(), mbuf->tailroom()})
                         .ethernet({.source = {2, 0, 0, 0, 0, 1}})
                         .vlan({.id = 7})
                         .ipv4({.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}})
                         .udp({.source_port = 9, .destination_port = 9})
                         .payload(Octets(100))
                         .finish();
  ASSERT_TRUE(frame.has_value());
  ASSERT_NE(mbuf->append(static_cast<std::uint32_t>(frame->size())), nullptr);
  const Layout layout = parse(*mbuf);
  EXPECT_EQ(layout.payload_length(), 100);
  EXPECT_EQ(l4_checksum(*mbuf, layout), ChecksumStatus::good);
}

}  // namespace
}  // namespace pollux::packet
