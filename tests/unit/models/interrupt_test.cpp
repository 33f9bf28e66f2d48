// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "unit/models/bench_driver.hpp"

namespace pollux::models::igb {
namespace {

class CardInterrupts : public testing::Test {
 protected:
  void SetUp() override {
    bench.link_up();
    bench.start_rx();
    static_cast<void>(bench.read<hw::ICR>());
    bench.messages.clear();
    for (unsigned vector = 0; vector < 4; ++vector) unmask(vector);
  }
  void unmask(unsigned vector) { bench.card.write32(hw::kMsixBar, vector * 16 + 12, 0); }
  void use_vectors() {
    bench.write<hw::GPIE>(hw::GPIE::MSIX_MODE | hw::GPIE::NSICR);
    bench.write<hw::IVAR>(0,
                          hw::IVAR::RX_LOW(2) | hw::IVAR::RX_LOW_VALID | hw::IVAR::TX_LOW(3) | hw::IVAR::TX_LOW_VALID);
    bench.write<hw::IVAR_MISC>(hw::IVAR_MISC::OTHER(1) | hw::IVAR_MISC::OTHER_VALID);
    bench.write<hw::EIAC>(hw::EIAC::Value(0xC));
  }
  using Vectors = std::vector<unsigned>;

  Bench bench;
};

TEST_F(CardInterrupts, SendNoMessageWhileMasked) {
  bench.card.receive(Bench::frame(60));
  EXPECT_TRUE(bench.messages.empty());
  EXPECT_TRUE(bench.read<hw::ICR>().has(hw::ICR::RXDW));
  EXPECT_EQ(bench.read<hw::ICR>().raw(), 0u) << "cleared by reading";
}

TEST_F(CardInterrupts, UseVectorZeroWithoutMsixMode) {
  bench.write<hw::IMS>(hw::IMS::LSC | hw::IMS::RXDW);
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.messages, Vectors{0});
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.messages, Vectors{0}) << "still pending";
  EXPECT_TRUE(bench.read<hw::ICR>().has(hw::ICR::INTA | hw::ICR::RXDW));
  bench.card.set_carrier(false);
  EXPECT_EQ(bench.messages, (Vectors{0, 0}));
  bench.write<hw::IMC>(hw::IMC::Value(~0u));
  EXPECT_EQ(bench.read<hw::IMS>().raw(), 0u);
}

TEST_F(CardInterrupts, AssertThePinUntilTheCauseIsCleared) {
  bench.card.set_interrupt_mode(InterruptMode::pin);
  bench.card.receive(Bench::frame(60));
  EXPECT_FALSE(bench.card.interrupt_pending()) << "masked";
  bench.write<hw::IMS>(hw::IMS::RXDW | hw::IMS::LSC);
  EXPECT_TRUE(bench.card.interrupt_pending());
  bench.write<hw::IMC>(hw::IMC::RXDW);
  EXPECT_FALSE(bench.card.interrupt_pending());
  bench.card.set_carrier(false);
  EXPECT_TRUE(bench.card.interrupt_pending());
  EXPECT_TRUE(bench.read<hw::ICR>().has(hw::ICR::INTA | hw::ICR::LSC | hw::ICR::RXDW));
  EXPECT_FALSE(bench.card.interrupt_pending()) << "reading ICR clears it";
  EXPECT_TRUE(bench.messages.empty());
}

TEST_F(CardInterrupts, AreMaskedByReadingIcrAsIamSays) {
  bench.card.set_interrupt_mode(InterruptMode::pin);
  bench.write<hw::IAM>(hw::IAM::RXDW);
  bench.write<hw::IMS>(hw::IMS::RXDW | hw::IMS::LSC);
  bench.card.receive(Bench::frame(60));
  EXPECT_TRUE(bench.card.interrupt_pending());
  static_cast<void>(bench.read<hw::ICR>());
  EXPECT_EQ(bench.read<hw::IMS>().raw(), hw::IMS::Value(hw::IMS::LSC).raw());
  bench.card.receive(Bench::frame(60));
  EXPECT_FALSE(bench.card.interrupt_pending());
  bench.write<hw::IMS>(hw::IMS::RXDW);
  EXPECT_TRUE(bench.card.interrupt_pending()) << "the cause that was raised meanwhile";
}

TEST_F(CardInterrupts, AreMessageZeroWithMsi) {
  bench.card.set_interrupt_mode(InterruptMode::msi);
  bench.card.write32(hw::kMsixBar, 12, 1);  // the MSI-X table has no effect
  bench.write<hw::IMS>(hw::IMS::RXDW | hw::IMS::LSC);
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.messages, Vectors{0});
  static_cast<void>(bench.read<hw::ICR>());
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.messages, (Vectors{0, 0}));
  use_vectors();
  bench.write<hw::EIMS>(hw::EIMS::Value(0x4));
  EXPECT_EQ(bench.messages, (Vectors{0, 0})) << "there is no other message";
}

TEST_F(CardInterrupts, FollowIvarInMsixMode) {
  use_vectors();
  bench.write<hw::EIMS>(hw::EIMS::Value(0xE));
  bench.write<hw::IMS>(hw::IMS::LSC);
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.messages, Vectors{2});
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.messages, (Vectors{2, 2})) << "EIAC clears the cause with each message";
  bench.card.set_carrier(false);
  EXPECT_EQ(bench.messages, (Vectors{2, 2, 1}));
  EXPECT_TRUE(bench.read<hw::EICR>().has_any(hw::EICR::VECTORS(2)));
}

TEST_F(CardInterrupts, AreSentOnceUntilTheCauseIsCleared) {
  use_vectors();
  bench.write<hw::EIAC>(hw::EIAC::Value());
  bench.write<hw::EIMS>(hw::EIMS::Value(0x4));
  bench.card.receive(Bench::frame(60));
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.messages, Vectors{2});
  bench.write<hw::EICR>(hw::EICR::Value(0x4));
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.messages, (Vectors{2, 2}));
}

TEST_F(CardInterrupts, StayPendingUntilUnmasked) {
  use_vectors();
  bench.card.receive(Bench::frame(60));
  EXPECT_TRUE(bench.messages.empty());
  bench.write<hw::EIMS>(hw::EIMS::Value(0x4));
  EXPECT_EQ(bench.messages, Vectors{2});
  bench.write<hw::EIMC>(hw::EIMC::Value(0x4));
  bench.write<hw::EICS>(hw::EICS::Value(0x4));
  EXPECT_EQ(bench.messages, Vectors{2});
}

TEST_F(CardInterrupts, AreModeratedInVirtualTime) {
  use_vectors();
  bench.write<hw::EIMS>(hw::EIMS::Value(0x4));
  bench.write<hw::EITR>(2, hw::EITR::INTERVAL(100));
  bench.card.receive(Bench::frame(60));
  bench.card.receive(Bench::frame(60));
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.messages, Vectors{2});
  bench.pass(std::chrono::microseconds(99));
  EXPECT_EQ(bench.messages, Vectors{2});
  bench.pass(std::chrono::microseconds(1));
  EXPECT_EQ(bench.messages, (Vectors{2, 2})) << "one message for both causes";
  bench.pass(std::chrono::milliseconds(1));
  EXPECT_EQ(bench.messages.size(), 2u);
}

TEST_F(CardInterrupts, WaitBehindAMaskedTableEntry) {
  use_vectors();
  bench.write<hw::EIMS>(hw::EIMS::Value(0x4));
  bench.card.write32(hw::kMsixBar, 2 * 16 + 12, 1);
  bench.card.receive(Bench::frame(60));
  EXPECT_TRUE(bench.messages.empty());
  EXPECT_EQ(bench.card.read32(hw::kMsixBar, Interrupts::kPendingOffset), 4u);
  unmask(2);
  EXPECT_EQ(bench.messages, Vectors{2});
  EXPECT_EQ(bench.card.read32(hw::kMsixBar, Interrupts::kPendingOffset), 0u);
}

TEST_F(CardInterrupts, ReportTransmissions) {
  use_vectors();
  bench.start_tx();
  bench.write<hw::EIMS>(hw::EIMS::Value(0x8));
  bench.memory.descriptor(Bench::kTxRing, 0) =
      intel::tx::data(Bench::buffer(0), 60, 60, intel::tx::kEndOfPacket | intel::tx::kReportStatus);
  bench.write<hw::TDT>(0, hw::TDT::TAIL(1));
  EXPECT_EQ(bench.messages, Vectors{3});
  bench.memory.descriptor(Bench::kTxRing, 1) = intel::tx::data(Bench::buffer(0), 60, 60, intel::tx::kEndOfPacket);
  bench.write<hw::TDT>(0, hw::TDT::TAIL(2));
  EXPECT_EQ(bench.messages, Vectors{3}) << "no descriptor requested a report";
}

TEST_F(CardInterrupts, AreMaskedAutomaticallyByEiam) {
  use_vectors();
  bench.write<hw::GPIE>(hw::GPIE::MSIX_MODE | hw::GPIE::EIAME);
  bench.write<hw::EIAM>(hw::EIAM::Value(0x4));
  bench.write<hw::EIMS>(hw::EIMS::Value(0xC));
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.messages, Vectors{2});
  EXPECT_EQ(bench.read<hw::EIMS>().raw(), 0x8u);
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.messages, Vectors{2}) << "masked";
  bench.write<hw::EIMS>(hw::EIMS::Value(0x4));
  EXPECT_EQ(bench.messages, (Vectors{2, 2})) << "the cause that was raised meanwhile";
  bench.write<hw::GPIE>(hw::GPIE::MSIX_MODE);
  bench.write<hw::EIMS>(hw::EIMS::Value(0x4));
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.read<hw::EIMS>().raw(), 0xCu) << "EIAM has no effect without GPIE.EIAME";
}

TEST_F(CardInterrupts, CountMessages) {
  use_vectors();
  bench.write<hw::EIMS>(hw::EIMS::Value(0x4));
  static_cast<void>(bench.read<hw::IAC>());
  for (int i = 0; i < 3; ++i) bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.read<hw::IAC>().raw(), 3u);
  EXPECT_EQ(bench.read<hw::IAC>().raw(), 0u);
}

TEST(CardWithTenVectors, SendsNoMessageBeyondThem) {
  Bench bench({.vectors = 10});
  EXPECT_EQ(bench.card.interrupt_vectors(), 10u);
  bench.write<hw::GPIE>(hw::GPIE::MSIX_MODE);
  for (unsigned vector = 0; vector < hw::kMsixVectors; ++vector) {
    bench.card.write32(hw::kMsixBar, vector * 16 + 12, 0);
  }
  bench.write<hw::EIMS>(hw::EIMS::Value((1U << hw::kMsixVectors) - 1));
  bench.write<hw::EICS>(hw::EICS::Value((1U << hw::kMsixVectors) - (1U << 9)));
  EXPECT_EQ(bench.messages, std::vector<unsigned>{9});
}

}  // namespace
}  // namespace pollux::models::igb
