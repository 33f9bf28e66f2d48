// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

class CardInterrupts : public testing::Test {
 protected:
  void SetUp() override {
    fixture.link_up();
    fixture.start_rx();
    static_cast<void>(fixture.read<hw::ICR>());
    fixture.messages.clear();
    for (unsigned vector = 0; vector < 4; ++vector) unmask(vector);
  }
  void unmask(unsigned vector) { fixture.card.write32(hw::kMsixBar, vector * 16 + 12, 0); }
  void use_vectors() {
    fixture.write<hw::GPIE>(hw::GPIE::MSIX_MODE | hw::GPIE::NSICR);
    fixture.write<hw::IVAR>(
        0, hw::IVAR::RX_LOW(2) | hw::IVAR::RX_LOW_VALID | hw::IVAR::TX_LOW(3) | hw::IVAR::TX_LOW_VALID);
    fixture.write<hw::IVAR_MISC>(hw::IVAR_MISC::OTHER(1) | hw::IVAR_MISC::OTHER_VALID);
    fixture.write<hw::EIAC>(hw::EIAC::Value(0xC));
  }
  using Vectors = std::vector<unsigned>;

  CardFixture fixture;
};

TEST_F(CardInterrupts, SendNoMessageWhileMasked) {
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_TRUE(fixture.messages.empty());
  EXPECT_TRUE(fixture.read<hw::ICR>().has(hw::ICR::RXDW));
  EXPECT_EQ(fixture.read<hw::ICR>().raw(), 0u) << "cleared by reading";
}

TEST_F(CardInterrupts, UseVectorZeroWithoutMsixMode) {
  fixture.write<hw::IMS>(hw::IMS::LSC | hw::IMS::RXDW);
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.messages, Vectors{0});
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.messages, Vectors{0}) << "still pending";
  EXPECT_TRUE(fixture.read<hw::ICR>().has(hw::ICR::INTA | hw::ICR::RXDW));
  fixture.card.set_carrier(false);
  EXPECT_EQ(fixture.messages, (Vectors{0, 0}));
  fixture.write<hw::IMC>(hw::IMC::Value(~0u));
  EXPECT_EQ(fixture.read<hw::IMS>().raw(), 0u);
}

TEST_F(CardInterrupts, AssertThePinUntilTheCauseIsCleared) {
  fixture.card.set_interrupt_mode(InterruptMode::pin);
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_FALSE(fixture.card.interrupt_pending()) << "masked";
  fixture.write<hw::IMS>(hw::IMS::RXDW | hw::IMS::LSC);
  EXPECT_TRUE(fixture.card.interrupt_pending());
  fixture.write<hw::IMC>(hw::IMC::RXDW);
  EXPECT_FALSE(fixture.card.interrupt_pending());
  fixture.card.set_carrier(false);
  EXPECT_TRUE(fixture.card.interrupt_pending());
  EXPECT_TRUE(fixture.read<hw::ICR>().has(hw::ICR::INTA | hw::ICR::LSC | hw::ICR::RXDW));
  EXPECT_FALSE(fixture.card.interrupt_pending()) << "reading ICR clears it";
  EXPECT_TRUE(fixture.messages.empty());
}

TEST_F(CardInterrupts, AreMaskedByReadingIcrAsIamSays) {
  fixture.card.set_interrupt_mode(InterruptMode::pin);
  fixture.write<hw::IAM>(hw::IAM::RXDW);
  fixture.write<hw::IMS>(hw::IMS::RXDW | hw::IMS::LSC);
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_TRUE(fixture.card.interrupt_pending());
  static_cast<void>(fixture.read<hw::ICR>());
  EXPECT_EQ(fixture.read<hw::IMS>().raw(), hw::IMS::Value(hw::IMS::LSC).raw());
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_FALSE(fixture.card.interrupt_pending());
  fixture.write<hw::IMS>(hw::IMS::RXDW);
  EXPECT_TRUE(fixture.card.interrupt_pending()) << "the cause that was raised meanwhile";
}

TEST_F(CardInterrupts, AreMessageZeroWithMsi) {
  fixture.card.set_interrupt_mode(InterruptMode::msi);
  fixture.card.write32(hw::kMsixBar, 12, 1);  // the MSI-X table has no effect
  fixture.write<hw::IMS>(hw::IMS::RXDW | hw::IMS::LSC);
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.messages, Vectors{0});
  static_cast<void>(fixture.read<hw::ICR>());
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.messages, (Vectors{0, 0}));
  use_vectors();
  fixture.write<hw::EIMS>(hw::EIMS::Value(0x4));
  EXPECT_EQ(fixture.messages, (Vectors{0, 0})) << "there is no other message";
}

TEST_F(CardInterrupts, FollowIvarInMsixMode) {
  use_vectors();
  fixture.write<hw::EIMS>(hw::EIMS::Value(0xE));
  fixture.write<hw::IMS>(hw::IMS::LSC);
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.messages, Vectors{2});
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.messages, (Vectors{2, 2})) << "EIAC clears the cause with each message";
  fixture.card.set_carrier(false);
  EXPECT_EQ(fixture.messages, (Vectors{2, 2, 1}));
  EXPECT_TRUE(fixture.read<hw::EICR>().has_any(hw::EICR::VECTORS(2)));
}

TEST_F(CardInterrupts, AreSentOnceUntilTheCauseIsCleared) {
  use_vectors();
  fixture.write<hw::EIAC>(hw::EIAC::Value());
  fixture.write<hw::EIMS>(hw::EIMS::Value(0x4));
  fixture.card.receive(CardFixture::frame(60));
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.messages, Vectors{2});
  fixture.write<hw::EICR>(hw::EICR::Value(0x4));
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.messages, (Vectors{2, 2}));
}

TEST_F(CardInterrupts, StayPendingUntilUnmasked) {
  use_vectors();
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_TRUE(fixture.messages.empty());
  fixture.write<hw::EIMS>(hw::EIMS::Value(0x4));
  EXPECT_EQ(fixture.messages, Vectors{2});
  fixture.write<hw::EIMC>(hw::EIMC::Value(0x4));
  fixture.write<hw::EICS>(hw::EICS::Value(0x4));
  EXPECT_EQ(fixture.messages, Vectors{2});
}

TEST_F(CardInterrupts, AreModeratedInVirtualTime) {
  use_vectors();
  fixture.write<hw::EIMS>(hw::EIMS::Value(0x4));
  fixture.write<hw::EITR>(2, hw::EITR::INTERVAL(100));
  fixture.card.receive(CardFixture::frame(60));
  fixture.card.receive(CardFixture::frame(60));
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.messages, Vectors{2});
  fixture.pass(std::chrono::microseconds(99));
  EXPECT_EQ(fixture.messages, Vectors{2});
  fixture.pass(std::chrono::microseconds(1));
  EXPECT_EQ(fixture.messages, (Vectors{2, 2})) << "one message for both causes";
  fixture.pass(std::chrono::milliseconds(1));
  EXPECT_EQ(fixture.messages.size(), 2u);
}

TEST_F(CardInterrupts, WaitBehindAMaskedTableEntry) {
  use_vectors();
  fixture.write<hw::EIMS>(hw::EIMS::Value(0x4));
  fixture.card.write32(hw::kMsixBar, 2 * 16 + 12, 1);
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_TRUE(fixture.messages.empty());
  EXPECT_EQ(fixture.card.read32(hw::kMsixBar, MsixTable::kPendingOffset), 4u);
  unmask(2);
  EXPECT_EQ(fixture.messages, Vectors{2});
  EXPECT_EQ(fixture.card.read32(hw::kMsixBar, MsixTable::kPendingOffset), 0u);
}

TEST_F(CardInterrupts, ReportTransmissions) {
  use_vectors();
  fixture.start_tx();
  fixture.write<hw::EIMS>(hw::EIMS::Value(0x8));
  fixture.memory.descriptor(CardFixture::kTxRing, 0) =
      intel::tx::data(CardFixture::buffer(0), 60, 60, intel::tx::kEndOfPacket | intel::tx::kReportStatus);
  fixture.write<hw::TDT>(0, hw::TDT::TAIL(1));
  EXPECT_EQ(fixture.messages, Vectors{3});
  fixture.memory.descriptor(CardFixture::kTxRing, 1) =
      intel::tx::data(CardFixture::buffer(0), 60, 60, intel::tx::kEndOfPacket);
  fixture.write<hw::TDT>(0, hw::TDT::TAIL(2));
  EXPECT_EQ(fixture.messages, Vectors{3}) << "no descriptor requested a report";
}

TEST_F(CardInterrupts, AreMaskedAutomaticallyByEiam) {
  use_vectors();
  fixture.write<hw::GPIE>(hw::GPIE::MSIX_MODE | hw::GPIE::EIAME);
  fixture.write<hw::EIAM>(hw::EIAM::Value(0x4));
  fixture.write<hw::EIMS>(hw::EIMS::Value(0xC));
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.messages, Vectors{2});
  EXPECT_EQ(fixture.read<hw::EIMS>().raw(), 0x8u);
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.messages, Vectors{2}) << "masked";
  fixture.write<hw::EIMS>(hw::EIMS::Value(0x4));
  EXPECT_EQ(fixture.messages, (Vectors{2, 2})) << "the cause that was raised meanwhile";
  fixture.write<hw::GPIE>(hw::GPIE::MSIX_MODE);
  fixture.write<hw::EIMS>(hw::EIMS::Value(0x4));
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.read<hw::EIMS>().raw(), 0xCu) << "EIAM has no effect without GPIE.EIAME";
}

TEST_F(CardInterrupts, CountMessages) {
  use_vectors();
  fixture.write<hw::EIMS>(hw::EIMS::Value(0x4));
  static_cast<void>(fixture.read<hw::IAC>());
  for (int i = 0; i < 3; ++i) fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.read<hw::IAC>().raw(), 3u);
  EXPECT_EQ(fixture.read<hw::IAC>().raw(), 0u);
}

TEST(CardWithTenVectors, SendsNoMessageBeyondThem) {
  CardFixture fixture({.vectors = 10});
  EXPECT_EQ(fixture.card.interrupt_vectors(), 10u);
  fixture.write<hw::GPIE>(hw::GPIE::MSIX_MODE);
  for (unsigned vector = 0; vector < hw::kMsixVectors; ++vector) {
    fixture.card.write32(hw::kMsixBar, vector * 16 + 12, 0);
  }
  fixture.write<hw::EIMS>(hw::EIMS::Value((1U << hw::kMsixVectors) - 1));
  fixture.write<hw::EICS>(hw::EICS::Value((1U << hw::kMsixVectors) - (1U << 9)));
  EXPECT_EQ(fixture.messages, std::vector<unsigned>{9});
}

}  // namespace
}  // namespace pollux::models::igb
