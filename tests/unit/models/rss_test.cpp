// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>

#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

// The key and test vectors from Microsoft's "Verifying the RSS Hash Calculation".
constexpr std::array<std::uint8_t, 40> kKey{0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                            0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                            0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                            0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

void put(std::vector<std::byte>& frame, std::size_t at, std::initializer_list<unsigned> bytes) {
  for (const unsigned byte : bytes) frame[at++] = static_cast<std::byte>(byte);
}

/// From 66.9.149.187:2794 to 161.142.100.80:1766.
std::vector<std::byte> ipv4(unsigned protocol) {
  auto frame = CardFixture::frame(80);
  put(frame, 12, {0x08, 0x00, 0x45, 0, 0, 66, 0, 0, 0, 0, 64, protocol, 0, 0});
  put(frame, 26, {66, 9, 149, 187, 161, 142, 100, 80});
  put(frame, 34, {2794 >> 8, 2794 & 0xFF, 1766 >> 8, 1766 & 0xFF});
  return frame;
}

/// From 3ffe:2501:200:1fff::7, port 2794, to 3ffe:2501:200:3::1, port 1766.
std::vector<std::byte> ipv6(unsigned protocol) {
  auto frame = CardFixture::frame(100);
  put(frame, 12, {0x86, 0xDD, 0x60, 0, 0, 0, 0, 46, protocol, 64});
  put(frame, 22, {0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 7});
  put(frame, 38, {0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x00, 0x03, 0, 0, 0, 0, 0, 0, 0, 1});
  put(frame, 54, {2794 >> 8, 2794 & 0xFF, 1766 >> 8, 1766 & 0xFF});
  return frame;
}

class CardRss : public testing::Test {
 protected:
  void SetUp() override {
    fixture.link_up();
    fixture.start_rx();
    for (std::uint32_t i = 0; i < hw::kRssKeyWords; ++i) {
      const auto byte = [i](std::uint32_t number) { return std::uint32_t{kKey[i * 4 + number]}; };
      fixture.write<hw::RSSRK>(i, hw::RSSRK::Value(byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24));
    }
    fixture.write<hw::RXCSUM>(hw::RXCSUM::PCSD);
    fixture.write<hw::MRQC>(hw::MRQC::RSS | hw::MRQC::TCP_IPV4 | hw::MRQC::IPV4 | hw::MRQC::TCP_IPV6 | hw::MRQC::IPV6);
  }
  /// The card's write-back for a frame that arrives in queue 0.
  intel::Descriptor receive(std::span<const std::byte> frame) {
    const std::uint32_t slot = fixture.read<hw::RDH>(0).raw();
    fixture.arm(slot);
    fixture.write<hw::RDT>(0, hw::RDT::TAIL((slot + 1) % CardFixture::kSlots));
    fixture.card.receive(frame);
    return fixture.memory.descriptor(CardFixture::kRxRing, slot);
  }

  CardFixture fixture;
};

TEST_F(CardRss, MatchesThePublishedVectors) {
  const auto tcp = receive(ipv4(6));
  EXPECT_EQ(intel::rx::rss_type(tcp.lo), intel::rx::RssType::tcp_ipv4);
  EXPECT_EQ(intel::rx::hash(tcp.lo), 0x51ccc178u);
  EXPECT_EQ(intel::rx::packet_type(tcp.lo), intel::rx::kTypeIpv4 | intel::rx::kTypeTcp);
  const auto udp = receive(ipv4(17));
  EXPECT_EQ(intel::rx::rss_type(udp.lo), intel::rx::RssType::ipv4);
  EXPECT_EQ(intel::rx::hash(udp.lo), 0x323e8fc2u);
  EXPECT_EQ(intel::rx::packet_type(udp.lo), intel::rx::kTypeIpv4 | intel::rx::kTypeUdp);
  const auto tcp6 = receive(ipv6(6));
  EXPECT_EQ(intel::rx::rss_type(tcp6.lo), intel::rx::RssType::tcp_ipv6);
  EXPECT_EQ(intel::rx::hash(tcp6.lo), 0x40207d3du);
  const auto other6 = receive(ipv6(59));
  EXPECT_EQ(intel::rx::rss_type(other6.lo), intel::rx::RssType::ipv6);
  EXPECT_EQ(intel::rx::hash(other6.lo), 0x2cc18cd5u);
}

TEST_F(CardRss, SupportsEveryHashType) {
  using intel::rx::RssType;
  struct Kind {
    hw::MRQC::Bit field;
    bool version6;
    unsigned protocol;
    RssType type;
    std::uint32_t hash;
  };
  for (const Kind& kind : {Kind{hw::MRQC::TCP_IPV4, false, 6, RssType::tcp_ipv4, 0x51ccc178},
                           Kind{hw::MRQC::UDP_IPV4, false, 17, RssType::udp_ipv4, 0x51ccc178},
                           Kind{hw::MRQC::IPV4, false, 6, RssType::ipv4, 0x323e8fc2},
                           Kind{hw::MRQC::TCP_IPV6, true, 6, RssType::tcp_ipv6, 0x40207d3d},
                           Kind{hw::MRQC::TCP_IPV6_EX, true, 6, RssType::tcp_ipv6_ex, 0x40207d3d},
                           Kind{hw::MRQC::UDP_IPV6, true, 17, RssType::udp_ipv6, 0x40207d3d},
                           Kind{hw::MRQC::UDP_IPV6_EX, true, 17, RssType::udp_ipv6_ex, 0x40207d3d},
                           Kind{hw::MRQC::IPV6, true, 6, RssType::ipv6, 0x2cc18cd5},
                           Kind{hw::MRQC::IPV6_EX, true, 6, RssType::ipv6_ex, 0x2cc18cd5}}) {
    fixture.write<hw::MRQC>(hw::MRQC::RSS | kind.field);
    const auto slot = receive(kind.version6 ? ipv6(kind.protocol) : ipv4(kind.protocol));
    EXPECT_EQ(intel::rx::rss_type(slot.lo), kind.type);
    EXPECT_EQ(intel::rx::hash(slot.lo), kind.hash) << static_cast<int>(kind.type);
    const auto other = receive(kind.version6 ? ipv4(6) : ipv6(6));
    EXPECT_EQ(intel::rx::rss_type(other.lo), RssType::none) << static_cast<int>(kind.type);
  }
}

TEST_F(CardRss, IgnoresExtensionHeadersIfConfigured) {
  auto extended = ipv6(0);  // hop-by-hop options, 8 bytes, then TCP
  put(extended, 54, {6, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(intel::rx::rss_type(receive(extended).lo), intel::rx::RssType::tcp_ipv6);
  fixture.write<hw::RFCTL>(hw::RFCTL::IPV6_EX_DIS);
  const auto slot = receive(extended);
  EXPECT_EQ(intel::rx::rss_type(slot.lo), intel::rx::RssType::ipv6);
  EXPECT_EQ(intel::rx::hash(slot.lo), 0x2cc18cd5u);
  EXPECT_EQ(intel::rx::rss_type(receive(ipv6(6)).lo), intel::rx::RssType::tcp_ipv6);
  fixture.write<hw::MRQC>(hw::MRQC::RSS | hw::MRQC::TCP_IPV6 | hw::MRQC::IPV6_EX);
  EXPECT_EQ(intel::rx::rss_type(receive(extended).lo), intel::rx::RssType::none);
}

TEST_F(CardRss, DoesNotHashOtherProtocols) {
  const auto plain = receive(CardFixture::frame(60));
  EXPECT_EQ(intel::rx::rss_type(plain.lo), intel::rx::RssType::none);
  EXPECT_EQ(intel::rx::hash(plain.lo), 0u);
  EXPECT_EQ(intel::rx::packet_type(plain.lo), 0u);
}

TEST_F(CardRss, FindsTheQueueInTheRedirectionTable) {
  const std::uint32_t entry = 0x51ccc178u % hw::kRedirectionEntries;
  fixture.write<hw::RETA>(entry / 4, hw::RETA::Value(5u << entry % 4 * 8));
  fixture.card.receive(ipv4(6));
  EXPECT_EQ(fixture.read<hw::RDH>(0).raw(), 0u);
  EXPECT_EQ(fixture.card.receiver().losses().queue_disabled, 1u);
  fixture.start_rx(5);
  fixture.card.receive(ipv4(6));
  EXPECT_EQ(fixture.read<hw::RDH>(5).raw(), 1u);
}

TEST_F(CardRss, IsOffUnlessPcsdReservesTheFieldForTheHash) {
  fixture.write<hw::RXCSUM>(hw::RXCSUM::Value());
  const auto tcp = receive(ipv4(6));
  EXPECT_EQ(intel::rx::rss_type(tcp.lo), intel::rx::RssType::none);
  EXPECT_EQ(intel::rx::hash(tcp.lo), 0u);
  EXPECT_EQ(intel::rx::packet_type(tcp.lo), intel::rx::kTypeIpv4 | intel::rx::kTypeTcp);
}

TEST_F(CardRss, ReadsNoHeaderBeyondTheFrame) {
  auto cut = ipv4(6);
  cut[14] = std::byte{0x4F};  // a header of 60 bytes
  cut.resize(60);
  EXPECT_EQ(intel::rx::packet_type(receive(cut).lo), 0u);
  auto fragment = ipv4(6);
  fragment[21] = std::byte{1};
  EXPECT_EQ(intel::rx::packet_type(receive(fragment).lo), intel::rx::kTypeIpv4);
}

}  // namespace
}  // namespace pollux::models::igb
