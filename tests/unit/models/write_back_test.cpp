// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <chrono>

#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

using namespace std::chrono_literals;

class CardThresholds : public testing::Test {
 protected:
  void SetUp() override {
    fixture.link_up();
    fixture.start_rx();
    fixture.start_tx();
    fixture.write<hw::RXDCTL>(0, hw::RXDCTL::WTHRESH(4) | hw::RXDCTL::ENABLE);
    fixture.write<hw::TXDCTL>(0, hw::TXDCTL::WTHRESH(4) | hw::TXDCTL::ENABLE);
    static_cast<void>(fixture.read<hw::ICR>());
  }
  void use_vector(std::uint32_t microseconds) {
    fixture.write<hw::GPIE>(hw::GPIE::MSIX_MODE);
    fixture.write<hw::IVAR>(
        0, hw::IVAR::RX_LOW(2) | hw::IVAR::RX_LOW_VALID | hw::IVAR::TX_LOW(2) | hw::IVAR::TX_LOW_VALID);
    fixture.write<hw::EITR>(2, hw::EITR::INTERVAL(microseconds));
  }
  void receive(unsigned count) {
    for (unsigned i = 0; i < count; ++i) fixture.card.receive(CardFixture::frame(60 + i));
  }
  void send(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i, ++next) {
      fixture.memory.descriptor(CardFixture::kTxRing, next) =
          intel::tx::data(CardFixture::buffer(0), 60, 60, intel::tx::kEndOfPacket | intel::tx::kReportStatus);
    }
    fixture.write<hw::TDT>(0, hw::TDT::TAIL(next));
  }
  [[nodiscard]] unsigned received() {
    unsigned done = 0;
    while (done < CardFixture::kSlots &&
           intel::rx::length(fixture.memory.descriptor(CardFixture::kRxRing, done).hi) == 60 + done &&
           intel::rx::done(fixture.memory.descriptor(CardFixture::kRxRing, done).hi)) {
      ++done;
    }
    return done;
  }
  [[nodiscard]] unsigned sent() {
    unsigned done = 0;
    while (done < CardFixture::kSlots && intel::tx::done(fixture.memory.descriptor(CardFixture::kTxRing, done).hi))
      ++done;
    return done;
  }

  CardFixture fixture;
  std::uint32_t next = 0;
};

TEST_F(CardThresholds, DelayWriteBacksUntilTheyAreReached) {
  receive(3);
  EXPECT_EQ(received(), 0u);
  EXPECT_FALSE(fixture.read<hw::ICR>().has(hw::ICR::RXDW)) << "nothing was written back";
  fixture.card.receive(CardFixture::frame(63));
  EXPECT_EQ(received(), 4u);
  EXPECT_TRUE(fixture.read<hw::ICR>().has(hw::ICR::RXDW));
  send(3);
  EXPECT_EQ(sent(), 0u);
  EXPECT_EQ(fixture.sent.size(), 3u) << "the frames were sent";
  send(1);
  EXPECT_EQ(sent(), 4u);
}

TEST_F(CardThresholds, EndWithTheModerationInterval) {
  use_vector(100);
  receive(2);
  fixture.pass(50us);
  send(2);
  fixture.pass(49us);
  EXPECT_EQ(received(), 0u);
  fixture.pass(1us);
  EXPECT_EQ(received(), 2u) << "the interval starts with the first pending write-back";
  EXPECT_EQ(sent(), 0u);
  fixture.pass(50us);
  EXPECT_EQ(sent(), 2u);
}

TEST_F(CardThresholds, HaveNoEffectWithoutAnInterval) {
  use_vector(0);
  receive(1);
  EXPECT_EQ(received(), 1u);
  send(1);
  EXPECT_EQ(sent(), 1u);
}

TEST_F(CardThresholds, DelayWriteBacksForeverWithoutAVector) {
  receive(3);
  send(3);
  fixture.pass(10s);
  EXPECT_EQ(received() + sent(), 0u);
}

TEST_F(CardThresholds, EndWhenSoftwareFlushes) {
  receive(2);
  send(3);
  fixture.write<hw::RXDCTL>(0, fixture.read<hw::RXDCTL>(0).with(hw::RXDCTL::SWFLUSH));
  EXPECT_EQ(received(), 2u);
  EXPECT_FALSE(fixture.read<hw::RXDCTL>(0).has(hw::RXDCTL::SWFLUSH)) << "clears itself";
  fixture.write<hw::TXDCTL>(0, fixture.read<hw::TXDCTL>(0).with(hw::TXDCTL::SWFLUSH));
  EXPECT_EQ(sent(), 3u);
}

TEST_F(CardThresholds, EndWhenTheyAreLoweredOrTheQueueIsDisabled) {
  receive(2);
  fixture.write<hw::RXDCTL>(0, hw::RXDCTL::WTHRESH(2) | hw::RXDCTL::ENABLE);
  EXPECT_EQ(received(), 2u);
  send(3);
  fixture.write<hw::TXDCTL>(0, hw::TXDCTL::WTHRESH(4));
  fixture.pass(Transmit::kEnableTime);
  EXPECT_EQ(sent(), 3u);
}

TEST_F(CardThresholds, AreClearedByAReset) {
  receive(2);
  fixture.card.reset();
  fixture.pass(10ms);
  EXPECT_EQ(received(), 0u);
}

TEST_F(CardThresholds, ReportFewRemainingDescriptors) {
  fixture.write<hw::RXDCTL>(0, hw::RXDCTL::ENABLE);
  receive(CardFixture::kSlots - 2);
  EXPECT_FALSE(fixture.read<hw::ICR>().has(hw::ICR::RXDMT0));
  receive(1);
  EXPECT_TRUE(fixture.read<hw::ICR>().has(hw::ICR::RXDMT0)) << "RDMTS is 0: raised when no descriptor is left";
  EXPECT_EQ(fixture.read<hw::RXDMTC>().raw(), 1u);
}

}  // namespace
}  // namespace pollux::models::igb
