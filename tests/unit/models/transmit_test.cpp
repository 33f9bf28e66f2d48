// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "models/intel/igb/frame.hpp"
#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

class CardTransmit : public testing::Test {
 protected:
  void SetUp() override {
    fixture.link_up();
    fixture.start_tx();
  }
  [[nodiscard]] intel::Descriptor& slot(std::uint32_t number) {
    return fixture.memory.descriptor(CardFixture::kTxRing, number);
  }
  /// Writes the bytes to the buffer of slot `number`.
  void post(std::uint32_t number, std::span<const std::byte> bytes, std::uint64_t flags) {
    std::memcpy(fixture.memory.at(CardFixture::buffer(number)), bytes.data(), bytes.size());
    slot(number) = intel::tx::data(CardFixture::buffer(number), static_cast<std::uint32_t>(bytes.size()),
                                   static_cast<std::uint32_t>(bytes.size()), flags);
  }
  void ring(std::uint32_t tail) { fixture.write<hw::TDT>(0, hw::TDT::TAIL(tail)); }
  [[nodiscard]] std::uint32_t head() { return fixture.read<hw::TDH>(0).raw(); }
  template <class R>
  [[nodiscard]] std::uint32_t counter() {
    return fixture.read<R>().raw();
  }

  static constexpr std::uint64_t kWhole = intel::tx::kEndOfPacket | intel::tx::kReportStatus;
  CardFixture fixture;
};

TEST_F(CardTransmit, SendsAFrameAndReportsIt) {
  const auto frame = CardFixture::frame(60);
  post(0, frame, kWhole);
  ring(1);
  ASSERT_EQ(fixture.sent.size(), 1u);
  EXPECT_EQ(fixture.sent[0], frame);
  EXPECT_TRUE(intel::tx::done(slot(0).hi));
  EXPECT_EQ(head(), 1u);
}

TEST_F(CardTransmit, ReportsOnlyIfRequested) {
  for (std::uint32_t i = 0; i < 4; ++i) post(i, CardFixture::frame(60 + i), i == 3 ? kWhole : intel::tx::kEndOfPacket);
  ring(4);
  EXPECT_EQ(fixture.sent.size(), 4u);
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_FALSE(intel::tx::done(slot(i).hi)) << i;
  EXPECT_TRUE(intel::tx::done(slot(3).hi));
}

TEST_F(CardTransmit, JoinsTheDescriptorsOfAFrame) {
  const auto frame = CardFixture::frame(4000);
  const std::span<const std::byte> bytes(frame);
  post(0, bytes.first(1000), 0);
  post(1, bytes.subspan(1000, 2000), 0);
  ring(2);
  EXPECT_TRUE(fixture.sent.empty()) << "the last descriptor is missing";
  EXPECT_EQ(head(), 2u);
  post(2, bytes.subspan(3000), kWhole);
  ring(3);
  ASSERT_EQ(fixture.sent.size(), 1u);
  EXPECT_EQ(fixture.sent[0], frame);
}

TEST_F(CardTransmit, WrapsAroundTheRing) {
  for (std::uint32_t i = 0; i < 40; ++i) {
    post(i % CardFixture::kSlots, CardFixture::frame(60 + i), kWhole);
    ring((i + 1) % CardFixture::kSlots);
    ASSERT_EQ(fixture.sent.size(), i + 1);
    EXPECT_EQ(fixture.sent.back().size(), 60 + i);
  }
}

TEST_F(CardTransmit, PadsShortFramesOnlyIfEnabled) {
  post(0, CardFixture::frame(20), kWhole);
  ring(1);
  ASSERT_EQ(fixture.sent.size(), 1u);
  EXPECT_EQ(fixture.sent[0].size(), 60u);
  EXPECT_EQ(fixture.sent[0][59], std::byte{0});
  fixture.write<hw::TCTL>(hw::TCTL::EN);
  post(1, CardFixture::frame(20), kWhole);
  ring(2);
  EXPECT_EQ(fixture.sent[1].size(), 20u);
  EXPECT_EQ(counter<hw::GPTC>(), 1u);
  EXPECT_EQ(counter<hw::TPT>(), 2u);
}

TEST_F(CardTransmit, RecordsContextsAndInsertsTags) {
  slot(0) = intel::tx::context({.vlan = 0x602A, .index = 1});
  const auto frame = CardFixture::frame(60);
  post(1, frame, kWhole | intel::tx::kInsertVlan | std::uint64_t{1} << intel::tx::kContextShift);
  ring(2);
  ASSERT_EQ(fixture.sent.size(), 1u);
  ASSERT_EQ(fixture.sent[0].size(), 64u);
  EXPECT_EQ(fixture.sent[0][12], std::byte{0x81});
  EXPECT_EQ(fixture.sent[0][14], std::byte{0x60});
  EXPECT_EQ(fixture.sent[0][15], std::byte{0x2A});
  EXPECT_EQ(fixture.sent[0][16], frame[12]);
  EXPECT_EQ(fixture.card.transmitter().queue(0).contexts()[1], intel::tx::context({.vlan = 0x602A, .index = 1}));
}

TEST_F(CardTransmit, WaitsForLinkQueueAndEnable) {
  fixture.card.set_carrier(false);
  post(0, CardFixture::frame(60), kWhole);
  ring(1);
  EXPECT_EQ(head(), 0u);
  fixture.card.set_carrier(true);
  fixture.pass(Phy::kNegotiationTime);
  EXPECT_EQ(fixture.sent.size(), 1u);

  fixture.write<hw::TCTL>(hw::TCTL::PSP);
  post(1, CardFixture::frame(60), kWhole);
  ring(2);
  EXPECT_EQ(fixture.sent.size(), 1u);
  fixture.write<hw::TCTL>(hw::TCTL::PSP | hw::TCTL::EN);
  EXPECT_EQ(fixture.sent.size(), 2u);

  fixture.write<hw::TXDCTL>(0, hw::TXDCTL::Value());
  fixture.pass(Transmit::kEnableTime);
  post(2, CardFixture::frame(60), kWhole);
  ring(3);
  EXPECT_EQ(fixture.sent.size(), 2u);
  fixture.write<hw::TXDCTL>(0, hw::TXDCTL::ENABLE);
  EXPECT_EQ(fixture.sent.size(), 2u);
  fixture.pass(Transmit::kEnableTime);
  EXPECT_EQ(fixture.sent.size(), 3u);
}

TEST_F(CardTransmit, EnablesNoQueueBeforeTransmittingIsEnabled) {
  fixture.write<hw::TCTL>(hw::TCTL::PSP);
  fixture.write<hw::TXDCTL>(2, hw::TXDCTL::ENABLE);
  fixture.pass(std::chrono::seconds(1));
  EXPECT_FALSE(fixture.read<hw::TXDCTL>(2).has(hw::TXDCTL::ENABLE));
  fixture.write<hw::TCTL>(hw::TCTL::PSP | hw::TCTL::EN);
  fixture.pass(Transmit::kEnableTime);
  EXPECT_TRUE(fixture.read<hw::TXDCTL>(2).has(hw::TXDCTL::ENABLE));
}

TEST_F(CardTransmit, ToleratesAHostileDriver) {
  slot(0) = intel::tx::data(0xDEAD0000, 60, 60, kWhole);  // not mapped
  slot(1) = intel::tx::data(CardFixture::buffer(1), 0, 0, kWhole);
  slot(2) = {CardFixture::buffer(2), 60 | kWhole};  // the legacy format
  slot(3) = {CardFixture::buffer(3), 60 | kWhole | intel::tx::kAdvanced | std::uint64_t{7} << intel::tx::kTypeShift};
  post(4, CardFixture::frame(60), kWhole);
  slot(4).hi &= ~intel::tx::kInsertCrc;
  ring(5);
  EXPECT_TRUE(fixture.sent.empty());
  EXPECT_EQ(head(), 5u);
  const Transmit::Losses& losses = fixture.card.transmitter().losses();
  EXPECT_EQ(losses.unreadable, 1u);
  EXPECT_EQ(losses.empty, 1u);
  EXPECT_EQ(losses.unsupported, 2u);
  EXPECT_EQ(losses.without_crc, 1u);
  for (std::uint32_t i = 0; i < 15; ++i) slot((5 + i) % 16) = intel::tx::data(CardFixture::buffer(0), 60000, 60000, 0);
  slot(3) = intel::tx::data(CardFixture::buffer(0), 60000, 60000, kWhole);
  ring(4);
  EXPECT_TRUE(fixture.sent.empty());
  EXPECT_EQ(losses.too_long, 1u);
  ring(CardFixture::kSlots);
  EXPECT_EQ(head(), 4u) << "a tail outside the ring";
  post(4, CardFixture::frame(60), kWhole);
  ring(5);
  EXPECT_EQ(fixture.sent.size(), 1u) << "a valid frame is still sent";
}

// The frame check sequence is the frame's own. A receiver tells a right one from a wrong one.
TEST_F(CardTransmit, SendsAFrameWithItsOwnCheckSequence) {
  std::vector<std::vector<std::byte>> corrupt;
  fixture.card.on_transmit_corrupt(
      [&corrupt](std::span<const std::byte> frame) { corrupt.emplace_back(frame.begin(), frame.end()); });
  const std::vector<std::byte> body = CardFixture::frame(100);
  std::vector<std::byte> whole = body;
  const std::uint32_t fcs = frame_check_sequence(body);
  const auto fcs_bytes = std::as_bytes(std::span(&fcs, 1));
  whole.insert(whole.end(), fcs_bytes.begin(), fcs_bytes.end());
  post(0, whole, kWhole);
  whole.back() ^= std::byte{1};
  post(1, whole, kWhole);
  slot(0).hi &= ~intel::tx::kInsertCrc;
  slot(1).hi &= ~intel::tx::kInsertCrc;
  ring(2);
  ASSERT_EQ(fixture.sent.size(), 1u);
  EXPECT_EQ(fixture.sent[0], body);
  ASSERT_EQ(corrupt.size(), 1u);
  EXPECT_EQ(corrupt[0], body);
  EXPECT_EQ(fixture.read<hw::GPTC>().raw(), 2u);
}

TEST_F(CardTransmit, StopsAtARingThatIsNotMapped) {
  fixture.write<hw::TDBAH>(0, hw::TDBAH::Value(1));
  ring(1);
  EXPECT_EQ(head(), 0u);
  EXPECT_EQ(fixture.card.dma().refused(), 1u);
  ring(2);
  EXPECT_EQ(fixture.card.dma().refused(), 1u) << "not retried";
}

TEST_F(CardTransmit, WritesItsHeadBackIfConfigured) {
  const std::uint64_t where = TestMemory::kBase + 0x18000;
  fixture.write<hw::TDWBAL>(0, hw::TDWBAL::Value(static_cast<std::uint32_t>(where) | 1));
  post(0, CardFixture::frame(60), kWhole);
  ring(1);
  EXPECT_FALSE(intel::tx::done(slot(0).hi));
  EXPECT_EQ(fixture.bytes_at(where, 1)[0], std::byte{1});
}

TEST_F(CardTransmit, ReceivesItsFramesInLoopback) {
  fixture.start_rx();
  fixture.write<hw::RCTL>(fixture.read<hw::RCTL>().with(hw::RCTL::LBM_MAC));
  std::memcpy(fixture.memory.at(TestMemory::kBase + 0x60000), CardFixture::frame(60).data(), 60);
  slot(0) = intel::tx::data(TestMemory::kBase + 0x60000, 60, 60, kWhole);
  ring(1);
  EXPECT_TRUE(fixture.sent.empty());
  EXPECT_EQ(fixture.read<hw::RDH>(0).raw(), 1u);
  EXPECT_EQ(fixture.bytes_at(CardFixture::buffer(0), 60), CardFixture::frame(60));
}

TEST_F(CardTransmit, CountsSentFrames) {
  auto broadcast = CardFixture::frame(100);
  std::fill_n(broadcast.begin(), 6, std::byte{0xFF});
  post(0, broadcast, intel::tx::kEndOfPacket);
  post(1, CardFixture::frame(1514), kWhole);
  ring(2);
  EXPECT_EQ(counter<hw::GPTC>(), 2u);
  EXPECT_EQ(counter<hw::GPTC>(), 0u);
  EXPECT_EQ(counter<hw::BPTC>(), 1u);
  EXPECT_EQ(counter<hw::MPTC>(), 0u);
  EXPECT_EQ(counter<hw::PTC127>(), 1u);
  EXPECT_EQ(counter<hw::PTC1522>(), 1u);
  EXPECT_EQ(counter<hw::GOTCL>(), 100u + 1514u + 8u);
  EXPECT_EQ(counter<hw::GOTCH>(), 0u);
  EXPECT_EQ(counter<hw::GOTCL>(), 0u);
}

TEST_F(CardTransmit, StartsNoFrameWhileTheWireIsBusy) {
  post(0, CardFixture::frame(40), intel::tx::kReportStatus);
  post(1, CardFixture::frame(20), kWhole);
  post(2, CardFixture::frame(60), kWhole);
  fixture.card.set_wire_busy(true);
  ring(3);
  EXPECT_EQ(head(), 0u);
  fixture.card.set_wire_busy(false);
  EXPECT_EQ(fixture.sent.size(), 2u);
  EXPECT_EQ(head(), 3u);
}

}  // namespace
}  // namespace pollux::models::igb
