// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

using namespace std::chrono_literals;

class CardFlowControl : public testing::Test {
 protected:
  void SetUp() override {
    fixture.link_up();
    fixture.start_rx();
    fixture.start_tx();
    change_control(hw::RCTL::DPF);
    change_device(hw::CTRL::RFCE | hw::CTRL::TFCE);
  }
  void change_control(hw::RCTL::Setting bits) { fixture.write<hw::RCTL>(fixture.read<hw::RCTL>().with(bits)); }
  void change_device(hw::CTRL::Setting bits) { fixture.write<hw::CTRL>(fixture.read<hw::CTRL>().with(bits)); }
  template <class R>
  [[nodiscard]] std::uint32_t counter() {
    return fixture.read<R>().raw();
  }
  [[nodiscard]] static std::vector<std::byte> pause(std::uint16_t quanta, std::uint8_t opcode = 1) {
    std::vector<std::byte> frame(60);
    const std::array<std::uint8_t, 18> head{0x01,
                                            0x80,
                                            0xC2,
                                            0,
                                            0,
                                            1,
                                            2,
                                            0,
                                            0,
                                            0,
                                            0,
                                            9,
                                            0x88,
                                            0x08,
                                            0,
                                            opcode,
                                            static_cast<std::uint8_t>(quanta >> 8),
                                            static_cast<std::uint8_t>(quanta & 0xFF)};
    std::transform(head.begin(), head.end(), frame.begin(), [](std::uint8_t byte) { return std::byte{byte}; });
    return frame;
  }
  /// Enqueues `count` frames for transmission, from slot `next` on.
  void queue_frames(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      fixture.memory.descriptor(CardFixture::kTxRing, next) =
          intel::tx::data(CardFixture::buffer(0), 60, 60, intel::tx::kEndOfPacket | intel::tx::kReportStatus);
      next = (next + 1) % CardFixture::kSlots;
    }
    fixture.write<hw::TDT>(0, hw::TDT::TAIL(next));
  }
  [[nodiscard]] std::vector<std::uint32_t> pauses_sent() const {
    std::vector<std::uint32_t> quanta;
    for (const auto& frame : fixture.sent) {
      if (read_big16(frame, 12) == 0x8808) quanta.push_back(read_big16(frame, 16));
    }
    return quanta;
  }
  using Quanta = std::vector<std::uint32_t>;

  CardFixture fixture;
  std::uint32_t next = 0;
};

TEST_F(CardFlowControl, StopsSendingForTheRequestedTime) {
  fixture.card.receive(pause(100));  // 100 times 512 ns
  EXPECT_TRUE(fixture.read<hw::STATUS>().has(hw::STATUS::TXOFF));
  queue_frames(3);
  fixture.pass(51199ns);
  EXPECT_TRUE(fixture.sent.empty());
  EXPECT_EQ(fixture.read<hw::TDH>(0).raw(), 0u) << "no descriptor is fetched";
  fixture.pass(1ns);
  EXPECT_EQ(fixture.sent.size(), 3u);
  EXPECT_FALSE(fixture.read<hw::STATUS>().has(hw::STATUS::TXOFF));
  EXPECT_EQ(counter<hw::XOFFRXC>(), 1u);
  EXPECT_EQ(counter<hw::XOFFRXC>(), 0u) << "cleared by reading";
}

TEST_F(CardFlowControl, ResumesWhenThePartnerSendsXon) {
  fixture.card.receive(pause(0xFFFF));
  queue_frames(2);
  EXPECT_TRUE(fixture.sent.empty());
  fixture.card.receive(pause(0));
  EXPECT_EQ(fixture.sent.size(), 2u);
  EXPECT_EQ(counter<hw::XONRXC>(), 1u);
}

TEST_F(CardFlowControl, ReplacesThePauseTimeByANewOne) {
  fixture.card.receive(pause(1000));
  fixture.card.receive(pause(10));
  queue_frames(1);
  fixture.pass(5120ns);
  EXPECT_EQ(fixture.sent.size(), 1u);
}

TEST_F(CardFlowControl, IgnoresPausesUnlessEnabled) {
  fixture.write<hw::CTRL>(fixture.read<hw::CTRL>().without(hw::CTRL::RFCE));
  fixture.card.receive(pause(100));
  queue_frames(1);
  EXPECT_EQ(fixture.sent.size(), 1u);
  EXPECT_EQ(counter<hw::XOFFRXC>(), 0u);
  EXPECT_EQ(fixture.card.receiver().losses().not_for_us, 1u) << "filtered like any other multicast";
}

TEST_F(CardFlowControl, ObeysPausesToItsOwnAddress) {
  auto frame = pause(100);
  const auto own = CardFixture::frame(60);
  std::copy_n(own.begin(), 6, frame.begin());
  fixture.card.receive(frame);
  queue_frames(1);
  EXPECT_TRUE(fixture.sent.empty());
}

TEST_F(CardFlowControl, CountsUnknownOpcodes) {
  fixture.card.receive(pause(100, 2));
  queue_frames(1);
  EXPECT_EQ(fixture.sent.size(), 1u);
  EXPECT_EQ(counter<hw::FCRUC>(), 1u);
}

TEST_F(CardFlowControl, PassesPausesToTheHostIfEnabled) {
  change_control(hw::RCTL::MPE);
  fixture.card.receive(pause(1));
  EXPECT_EQ(fixture.read<hw::RDH>(0).raw(), 0u) << "RCTL.DPF discards them";
  fixture.write<hw::RCTL>(fixture.read<hw::RCTL>().without(hw::RCTL::DPF));
  fixture.card.receive(pause(1));
  EXPECT_EQ(fixture.read<hw::RDH>(0).raw(), 1u);
  EXPECT_EQ(counter<hw::XOFFRXC>(), 2u);
  EXPECT_EQ(counter<hw::TPR>(), 2u) << "each is counted once";
}

TEST_F(CardFlowControl, EndsAPauseWhenTheLinkGoesDown) {
  fixture.card.receive(pause(0xFFFF));
  fixture.card.set_carrier(false);
  EXPECT_FALSE(fixture.read<hw::STATUS>().has(hw::STATUS::TXOFF));
  fixture.card.set_carrier(true);
  fixture.pass(Phy::kNegotiationTime);
  queue_frames(1);
  EXPECT_EQ(fixture.sent.size(), 1u);
}

class CardSendsPauses : public CardFlowControl {
 protected:
  void SetUp() override {
    CardFlowControl::SetUp();
    fixture.write<hw::FCTTV>(hw::FCTTV::TTV(1000));
    fixture.write<hw::FCRTH>(hw::FCRTH::RTH(640 / 16));
    fixture.write<hw::FCRTL>(hw::FCRTL::RTL(256 / 16) | hw::FCRTL::XONE);
    fixture.write<hw::RDT>(0, hw::RDT::TAIL(fixture.read<hw::RDH>(0).raw()));  // nothing armed
  }
  /// Receives `count` frames. Each takes 64 bytes of the packet buffer.
  void fill(unsigned count) {
    for (unsigned i = 0; i < count; ++i) fixture.card.receive(CardFixture::frame(60));
  }
  void arm(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) fixture.arm(i);
    fixture.write<hw::RDT>(0, hw::RDT::TAIL(count));
  }
};

TEST_F(CardSendsPauses, WhenItsBufferFillsAndXonWhenItEmpties) {
  fill(9);
  EXPECT_EQ(pauses_sent(), Quanta{});
  fill(1);
  EXPECT_EQ(pauses_sent(), Quanta{1000});
  fill(5);
  EXPECT_EQ(pauses_sent(), Quanta{1000}) << "sent once";
  arm(10);
  EXPECT_EQ(pauses_sent(), Quanta{1000}) << "320 bytes are above the low mark";
  arm(11);
  EXPECT_EQ(pauses_sent(), (Quanta{1000, 0}));
  EXPECT_EQ(counter<hw::XOFFTXC>(), 1u);
  EXPECT_EQ(counter<hw::XONTXC>(), 1u);
  EXPECT_EQ(counter<hw::GPTC>(), 0u);
  EXPECT_EQ(counter<hw::TPT>(), 2u);
  EXPECT_EQ(counter<hw::MPC>(), 0u);
}

TEST_F(CardSendsPauses, InTheFormatOfTheStandard) {
  fill(10);
  ASSERT_EQ(fixture.sent.size(), 1u);
  auto expected = pause(1000);
  const auto own = CardFixture::frame(60);
  std::copy_n(own.begin(), 6, expected.begin() + 6);
  EXPECT_EQ(fixture.sent[0], expected);
}

TEST_F(CardSendsPauses, AgainWhenTheTimeReachesTheThreshold) {
  fixture.write<hw::FCRTV>(hw::FCRTV::REFRESH(400));
  fill(10);
  fixture.pass(600 * 512ns - 1ns);
  EXPECT_EQ(pauses_sent().size(), 1u);
  fixture.pass(1ns);
  EXPECT_EQ(pauses_sent(), (Quanta{1000, 1000}));
  arm(10);
  fixture.pass(1s);
  EXPECT_EQ(pauses_sent(), (Quanta{1000, 1000, 0})) << "none after XON";
}

TEST_F(CardSendsPauses, NoMoreOftenThanThereIsTimeToSendThem) {
  fixture.write<hw::FCTTV>(hw::FCTTV::TTV(0xFFFF));
  fixture.write<hw::FCRTV>(hw::FCRTV::REFRESH(0xFFFE));  // again after 512 ns
  fill(10);
  fixture.pass(50ms);
  const std::size_t sent = fixture.sent.size();
  EXPECT_GT(sent, 100u);
  EXPECT_LT(sent, 20'000u) << "of 100,000";
  EXPECT_EQ(fixture.card.next_event(), fixture.now + WorkBudget::kPause);
  fixture.pass(WorkBudget::kPause);
  EXPECT_EQ(fixture.sent.size(), sent + 1) << "what there was no time for is not made up for";
}

TEST_F(CardSendsPauses, EvenWhileItIsPausedItself) {
  fixture.card.receive(pause(0xFFFF));
  fill(10);
  EXPECT_EQ(pauses_sent(), Quanta{1000});
}

TEST_F(CardSendsPauses, OnlyIfEnabled) {
  fixture.write<hw::CTRL>(fixture.read<hw::CTRL>().without(hw::CTRL::TFCE));
  fill(20);
  EXPECT_EQ(pauses_sent(), Quanta{});
  fixture.write<hw::TCTL>(fixture.read<hw::TCTL>().with(hw::TCTL::SWXOFF));
  EXPECT_EQ(pauses_sent(), Quanta{1000}) << "except on request of software";
  EXPECT_FALSE(fixture.read<hw::TCTL>().has(hw::TCTL::SWXOFF)) << "clears itself";
}

TEST_F(CardSendsPauses, WithoutXonIfThatIsDisabled) {
  fixture.write<hw::FCRTL>(hw::FCRTL::RTL(256 / 16));
  fill(10);
  arm(11);
  EXPECT_EQ(pauses_sent(), Quanta{1000});
}

}  // namespace
}  // namespace pollux::models::igb
