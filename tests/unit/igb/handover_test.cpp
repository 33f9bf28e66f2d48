// SPDX-License-Identifier: BSD-3-Clause
// A running card goes on in another program: here a second port that gets the first one's record. Every frame is
// accounted for, and nothing is written that concerns the link or a setting.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "net/handover/port_handover.hpp"
#include "pollux/mem/burst.hpp"
#include "unit/igb/shared_card.hpp"

namespace pollux::drivers::igb {
namespace {

using handover::Json;
using testing::HasSubstr;

class Handover : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    connection = FileDescriptor(ends[0]);
    other_end = FileDescriptor(ends[1]);
    card = fixture.device();
    Settings settings = fixture.config();
    settings.rx.resize(2, settings.rx[0]);
    settings.tx.resize(2, settings.tx[0]);
    settings.mtu = 4000;
    settings.promiscuous = true;
    old = opened(false, settings);
    ASSERT_TRUE(old != nullptr && old->start());
    fixture.clock->advance(std::chrono::seconds(1));
    ASSERT_TRUE(old->link().up);
  }
  [[nodiscard]] std::unique_ptr<PortMachine> opened(bool is_shared, const Settings& settings) {
    auto port = probe(fixture.context, std::make_unique<SharedCard>(card, is_shared));
    EXPECT_TRUE(port) << port.error().message();
    if (!port) return nullptr;
    auto machine = std::make_unique<PortMachine>(fixture.context.state(), *std::move(port));
    const auto configured = test::configure_port(*machine, settings);
    EXPECT_TRUE(configured) << configured.error().message();
    return machine;
  }
  [[nodiscard]] Settings same() const { return old->settings(); }
  /// As Takeover::begin does it, with a record that `edit` may change.
  void describe(const std::function<void(Json&)>& edit = [](Json&) {}) {
    auto described = old->describe_handover();
    ASSERT_TRUE(described) << described.error().message();
    edit(described->json);
    auto record = handover::read_port(std::move(described->json), {});
    ASSERT_TRUE(record) << record.error().message();
    taken = std::make_shared<handover::TakenPort>();
    taken->record = *std::move(record);
    handover::inheritance(*fixture.context.state()).begin(std::move(connection), {}, "", {taken});
  }
  /// The first program stands still, and says so.
  void freeze() {
    for (bool drained = false; !drained;) {
      const auto all = old->drain_handover();
      ASSERT_TRUE(all) << all.error().message();
      drained = *all;
      received += poll(*old);
    }
    const auto frozen = old->freeze_handover();
    ASSERT_TRUE(frozen) << frozen.error().message();
    ASSERT_TRUE(handover::send(other_end.get(), {{"message", "frozen"}}));
  }
  void hand_over() {
    describe();
    fresh = opened(true, same());
    freeze();
    const auto started = fresh->start();
    ASSERT_TRUE(started) << started.error().message();
    finish();
  }
  void finish() {
    const auto finished = handover::inheritance(*fixture.context.state()).finish();
    ASSERT_TRUE(finished) << finished.error().message();
    old->leave_to_successor();
  }
  [[nodiscard]] static std::uint32_t poll(PortMachine& port) {
    std::uint32_t all = 0;
    for (std::uint16_t queue = 0; queue < 2; ++queue) {
      Burst<64> burst;
      while (const std::uint32_t count = port.rx_queue(queue)->rx_burst(burst)) {
        all += count;
        burst = {};
      }
    }
    return all;
  }
  void inject(unsigned count) {
    for (unsigned i = 0; i < count; ++i) fixture.wire->inject(broadcast(64, injected++));
  }
  void send(PortMachine& port, unsigned count) {
    Burst<64> burst;
    for (unsigned i = 0; i < count; ++i) {
      MbufPtr frame = fixture.pool.allocate();
      ASSERT_NE(frame->append(60), nullptr);
      ASSERT_TRUE(burst.push(frame));
    }
    ASSERT_EQ(port.tx_queue(0)->tx_burst(burst), count);
  }

  IgbFixture fixture;
  FileDescriptor connection, other_end;
  std::shared_ptr<Device> card;
  std::unique_ptr<PortMachine> old, fresh;
  std::shared_ptr<handover::TakenPort> taken;
  std::uint64_t received = 0;
  unsigned injected = 0;
};

TEST_F(Handover, TheLinkStaysUpAndNoRegisterOfASettingIsWritten) {
  const unsigned resets = fixture.faults->resets;
  fixture.faults->writes.clear();
  hand_over();
  EXPECT_EQ(fixture.faults->resets, resets);
  EXPECT_TRUE(fresh->link().up);
  EXPECT_EQ(fresh->mac(), old->mac());
  const auto kUntouched = registers_of_settings();
  for (const auto& [offset, value] : fixture.faults->writes)
    EXPECT_EQ(std::ranges::find(kUntouched, offset), kUntouched.end()) << "register " << std::hex << offset;
  EXPECT_EQ(old->state(), PortState::closed);
  EXPECT_EQ(fresh->state(), PortState::started);
  ASSERT_TRUE(fresh->service());
  EXPECT_TRUE(fresh->close());
}

TEST_F(Handover, EveryFrameIsReceivedByOneOfBothOrCounted) {
  inject(40);
  received += poll(*old);
  inject(30);  // they wait in the rings of the first program
  describe();
  fresh = opened(true, same());
  freeze();
  EXPECT_EQ(received, 70u);
  inject(5);  // these find no queue
  ASSERT_TRUE(fresh->start());
  finish();
  inject(20);
  const std::uint32_t by_fresh = poll(*fresh);
  const Stats before = old->stats();
  const Stats after = fresh->stats();
  EXPECT_EQ(before.rx_burst_packets, 70u);
  EXPECT_EQ(before.rx_missed_errors, 0u);
  EXPECT_EQ(after.rx_burst_packets, by_fresh);
  EXPECT_EQ(received + by_fresh + after.rx_missed_errors, injected);
  EXPECT_EQ(before.rx_packets + after.rx_packets, injected) << "the card has counted each once";
  EXPECT_GE(by_fresh, 20u);
  for (const Counter& counter : before.drops) EXPECT_EQ(counter.value, 0u) << counter.name;
  ASSERT_TRUE(fresh->close());
  EXPECT_TRUE(fixture.all_mbufs_free());
}

TEST_F(Handover, BothSendWhatTheyWereGiven) {
  send(*old, 20);
  hand_over();
  EXPECT_EQ(fixture.sent.size(), 20u);
  send(*fresh, 30);
  ASSERT_TRUE(fresh->close());
  EXPECT_EQ(fixture.sent.size(), 50u);
  EXPECT_EQ(old->stats().tx_packets + fresh->stats().tx_packets, 50u);
}

TEST_F(Handover, ASuccessorThatGivesUpHasWrittenNothing) {
  describe();
  fresh = opened(true, same());
  freeze();
  ASSERT_TRUE(fresh->start());
  fixture.faults->writes.clear();
  handover::inheritance(*fixture.context.state()).give_up();
  EXPECT_TRUE(fresh->close());
  EXPECT_TRUE(fixture.faults->writes.empty());
  old->thaw_handover();
  EXPECT_EQ(old->state(), PortState::started);
  inject(30);
  EXPECT_EQ(poll(*old), 30u);
  send(*old, 10);
  fresh.reset();
  ASSERT_TRUE(old->close());
  EXPECT_EQ(fixture.sent.size(), 10u);
  EXPECT_EQ(old->stats().rx_missed_errors, 0u);
  EXPECT_TRUE(fixture.all_mbufs_free());
}

TEST_F(Handover, FramesThatTheProgramLeavesInTheRingAreNotDrained) {
  inject(4);
  const auto drained = old->drain_handover();
  ASSERT_TRUE(drained);
  EXPECT_FALSE(*drained);
  EXPECT_EQ(poll(*old), 4u);
  const auto again = old->drain_handover();
  ASSERT_TRUE(again);
  EXPECT_TRUE(*again);
  old->thaw_handover();
  inject(3);
  EXPECT_EQ(poll(*old), 3u);
}

TEST_F(Handover, WhatDiffersIsRefusedByName) {
  describe();
  for (const auto& [edit, says] : std::vector<std::pair<std::function<void(Settings&)>, std::string>>{
           {[](Settings& settings) { settings.rx.pop_back(); }, "the numbers of queues differ"},
           {[](Settings& settings) { settings.mtu = 1500; }, "the setting 'mtu' differs"},
           {[](Settings& settings) { settings.promiscuous = false; }, "the setting 'promiscuous' differs"}}) {
    Settings settings = same();
    edit(settings);
    auto other = opened(true, settings);
    fixture.faults->writes.clear();
    const auto started = other->start();
    ASSERT_FALSE(started) << says;
    EXPECT_EQ(started.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(started.error().what, HasSubstr(says));
    EXPECT_TRUE(other->close());
    EXPECT_TRUE(fixture.faults->writes.empty());
  }
}

TEST_F(Handover, RingsMayHaveOtherSizes) {
  describe();
  Settings settings = same();
  settings.rx[0].ring = 128;
  settings.tx[1].ring = 256;
  fresh = opened(true, settings);
  freeze();
  ASSERT_TRUE(fresh->start());
  finish();
  inject(100);
  EXPECT_EQ(poll(*fresh), 100u);
}

TEST_F(Handover, SettingsThatTheDriverKeepsAPartOfAreRefusedByName) {
  ASSERT_TRUE(old->change([](Settings& settings) { settings.led = LedMode::blink; }));
  const auto described = old->describe_handover();
  ASSERT_FALSE(described);
  EXPECT_EQ(described.error().code, ErrorCode::not_supported);
  EXPECT_THAT(described.error().what, HasSubstr("'led' is set"));
}

TEST_F(Handover, ACardWhoseDeviceStaysInThisProgramIsRefusedByName) {
  IgbFixture other;
  const auto port = other.started();
  const auto described = port->describe_handover();
  ASSERT_FALSE(described);
  EXPECT_THAT(described.error().what, HasSubstr("the driver igb cannot hand its port over"));
  EXPECT_THAT(described.error().hint, HasSubstr("igb cards of vfio:, can be handed over"));  // this card is a model
}

}  // namespace
}  // namespace pollux::drivers::igb
