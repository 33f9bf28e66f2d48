// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

/// All sixteen receive and transmit queues, each with its own ring.
class CardQueues : public testing::Test {
 protected:
  static constexpr std::uint32_t kRingBytes = 0x200;

  void SetUp() override {
    fixture.link_up();
    fixture.write<hw::RXCSUM>(hw::RXCSUM::PCSD);
    fixture.write<hw::MRQC>(hw::MRQC::RSS | hw::MRQC::UDP_IPV4);
    for (std::uint32_t i = 0; i < hw::RETA::kCount; ++i) {
      const std::uint32_t first = i * 4 % hw::kRxQueues;
      fixture.write<hw::RETA>(i, hw::RETA::ENTRY0(first) | hw::RETA::ENTRY1(first + 1) | hw::RETA::ENTRY2(first + 2) |
                                     hw::RETA::ENTRY3(first + 3));
    }
    for (std::uint32_t i = 0; i < hw::kRssKeyWords; ++i)
      fixture.write<hw::RSSRK>(i, hw::RSSRK::Value(0x9E3779B9U * (i + 1)));
    for (std::uint32_t queue = 0; queue < hw::kRxQueues; ++queue) set_up(queue);
    fixture.write<hw::RCTL>(hw::RCTL::RXEN | hw::RCTL::SECRC);
    fixture.write<hw::TCTL>(hw::TCTL::EN | hw::TCTL::PSP);
    fixture.pass(Receive::kEnableTime);
    for (std::uint32_t queue = 0; queue < hw::kRxQueues; ++queue) fixture.write<hw::RDT>(queue, hw::RDT::TAIL(31));
  }
  void set_up(std::uint32_t queue) {
    fixture.write<hw::RXDCTL>(queue, hw::RXDCTL::Value());
    fixture.write<hw::RDBAL>(queue, hw::RDBAL::Value(static_cast<std::uint32_t>(rx_ring(queue))));
    fixture.write<hw::RDLEN>(queue, hw::RDLEN::Value(kRingBytes));
    fixture.write<hw::SRRCTL>(queue, hw::SRRCTL::BSIZEPACKET(2) | hw::SRRCTL::ONE_BUFFER);
    fixture.write<hw::RXDCTL>(queue, hw::RXDCTL::ENABLE);
    fixture.write<hw::TDBAL>(queue, hw::TDBAL::Value(static_cast<std::uint32_t>(tx_ring(queue))));
    fixture.write<hw::TDLEN>(queue, hw::TDLEN::Value(kRingBytes));
    fixture.write<hw::TXDCTL>(queue, hw::TXDCTL::ENABLE);
    for (std::uint32_t slot = 0; slot < 32; ++slot) {
      fixture.memory.descriptor(rx_ring(queue), slot) = intel::rx::armed(CardFixture::buffer(queue));
    }
  }
  [[nodiscard]] static std::uint64_t rx_ring(std::uint32_t queue) { return CardFixture::kRxRing + queue * kRingBytes; }
  [[nodiscard]] static std::uint64_t tx_ring(std::uint32_t queue) { return CardFixture::kTxRing + queue * kRingBytes; }
  /// An IPv4 and UDP frame from the given port.
  [[nodiscard]] static std::vector<std::byte> datagram(unsigned port) {
    auto frame = CardFixture::frame(60);
    const std::array<unsigned, 24> head{0x08, 0x00, 0x45, 0, 0, 46, 0,  0, 0, 0, 64,        17,
                                        0,    0,    10,   0, 0, 1,  10, 0, 0, 2, port >> 8, port & 0xFF};
    std::transform(head.begin(), head.end(), frame.begin() + 12,
                   [](unsigned byte) { return static_cast<std::byte>(byte); });
    return frame;
  }

  CardFixture fixture;
};

TEST_F(CardQueues, ReceiveTheFramesOfTheirHashes) {
  std::array<unsigned, hw::kRxQueues> expected{};
  for (unsigned port = 0; port < 200; ++port) {
    const auto frame = datagram(port);
    fixture.card.receive(frame);
    for (std::uint32_t queue = 0; queue < hw::kRxQueues; ++queue) {
      const intel::Descriptor& slot = fixture.memory.descriptor(rx_ring(queue), expected[queue]);
      if (!intel::rx::done(slot.hi)) continue;
      EXPECT_EQ(intel::rx::hash(slot.lo) % hw::kRxQueues, queue);
      ++expected[queue];
    }
  }
  unsigned total = 0;
  for (std::uint32_t queue = 0; queue < hw::kRxQueues; ++queue) {
    EXPECT_GT(expected[queue], 0u) << queue;
    EXPECT_EQ(fixture.read<hw::RDH>(queue).raw(), expected[queue]);
    total += expected[queue];
  }
  EXPECT_EQ(total, 200u);
}

TEST_F(CardQueues, TransmitAll) {
  for (std::uint32_t queue = 0; queue < hw::kTxQueues; ++queue) {
    const std::uint32_t size = 60 + queue;
    fixture.memory.descriptor(tx_ring(queue), 0) =
        intel::tx::data(CardFixture::buffer(0), size, size, intel::tx::kEndOfPacket | intel::tx::kReportStatus);
    fixture.write<hw::TDT>(queue, hw::TDT::TAIL(1));
    ASSERT_EQ(fixture.sent.size(), queue + 1);
    EXPECT_EQ(fixture.sent.back().size(), size);
    EXPECT_TRUE(intel::tx::done(fixture.memory.descriptor(tx_ring(queue), 0).hi));
  }
}

TEST_F(CardQueues, HaveTwoContextsEach) {
  for (std::uint32_t queue = 0; queue < hw::kTxQueues; ++queue) {
    for (std::uint32_t index = 0; index < 2; ++index) {
      fixture.memory.descriptor(tx_ring(queue), index) =
          intel::tx::context({.vlan = static_cast<std::uint16_t>(queue * 2 + index), .index = index});
      fixture.memory.descriptor(tx_ring(queue), 2 + index) = intel::tx::data(
          CardFixture::buffer(0), 60, 60,
          intel::tx::kEndOfPacket | intel::tx::kInsertVlan | std::uint64_t{index} << intel::tx::kContextShift);
    }
    fixture.write<hw::TDT>(queue, hw::TDT::TAIL(4));
    for (unsigned index = 0; index < 2; ++index) {
      const auto& frame = fixture.sent.at(queue * 2 + index);
      EXPECT_EQ(read_big16(frame, 12), 0x8100);
      EXPECT_EQ(read_big16(frame, 14), queue * 2 + index);
    }
  }
}

TEST_F(CardQueues, RaiseTheVectorsSetInIvar) {
  fixture.write<hw::GPIE>(hw::GPIE::MSIX_MODE);
  for (std::uint32_t vector = 0; vector < hw::kMsixVectors; ++vector) {
    fixture.card.write32(hw::kMsixBar, vector * 16 + 12, 0);
  }
  fixture.write<hw::EIMS>(hw::EIMS::Value((1U << hw::kMsixVectors) - 1));
  for (std::uint32_t queue = 0; queue < 8; ++queue) {
    fixture.write<hw::IVAR>(queue, hw::IVAR::TX_LOW(queue) | hw::IVAR::TX_LOW_VALID | hw::IVAR::TX_HIGH(queue + 8) |
                                       hw::IVAR::TX_HIGH_VALID);
  }
  for (std::uint32_t queue = 0; queue < hw::kTxQueues; ++queue) {
    fixture.messages.clear();
    fixture.memory.descriptor(tx_ring(queue), 0) =
        intel::tx::data(CardFixture::buffer(0), 60, 60, intel::tx::kEndOfPacket | intel::tx::kReportStatus);
    fixture.write<hw::TDT>(queue, hw::TDT::TAIL(1));
    EXPECT_EQ(fixture.messages, std::vector<unsigned>{queue});
  }
}

}  // namespace
}  // namespace pollux::models::igb
