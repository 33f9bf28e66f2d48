// SPDX-License-Identifier: BSD-3-Clause
// The parser in software finds the same headers in a frame as the in-process card reports.
#include <gtest/gtest.h>

#include "pollux/mem/burst.hpp"
#include "pollux/net/packet/classify.hpp"
#include "support/various_frames.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

TEST(SoftwareView, IsTheSameAsTheCards) {
  IgbFixture fixture;
  Settings config = fixture.config();
  config.rx.resize(4, config.rx[0]);
  const auto port = fixture.started(config);
  ASSERT_NE(port, nullptr);
  const packet::ToeplitzHash hash;
  std::size_t compared = 0;
  for (const test::NamedFrame& frame : test::various_frames()) {
    fixture.wire->inject(std::as_bytes(std::span(frame.bytes)));
    Burst<8> burst;
    for (std::uint16_t queue = 0; queue < config.rx.size(); ++queue) port->rx_queue(queue)->rx_burst(burst);
    ASSERT_EQ(burst.size(), 1U) << frame.name;
    const Mbuf& mbuf = burst[0];
    const packet::Layout layout = packet::parse(mbuf);
    // The card parses beyond one tag only.
    if (layout.vlan_count > 1) continue;
    ++compared;
    const RxMetadata card(mbuf);
    EXPECT_EQ(layout.type.bits, card.packet_type().bits) << frame.name;
    EXPECT_EQ(packet::rss_hash(hash, mbuf, layout), card.rss_hash()) << frame.name;
    EXPECT_EQ(packet::ip_checksum(mbuf, layout), card.ip_checksum()) << frame.name;
    // The driver does not ask the card to check SCTP.
    if (!layout.type.has(PacketType::sctp)) {
      EXPECT_EQ(packet::l4_checksum(mbuf, layout), card.l4_checksum()) << frame.name;
    }
  }
  EXPECT_GT(compared, 40U);
}

}  // namespace
}  // namespace pollux::drivers::igb
