// SPDX-License-Identifier: BSD-3-Clause
// A port goes on after its program has crashed: a second one gets what a keeper has of the first, which nobody calls
// any more. Each frame is accounted for, and nothing is written that concerns the link or a setting.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "net/handover/kept_card.hpp"
#include "support/fake_keeper.hpp"
#include "unit/igb/shared_card.hpp"

namespace pollux::drivers::igb {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Crash : public testing::Test {
 protected:
  void SetUp() override {
    card = fixture.device();
    settings = fixture.config();
    settings.rx.resize(2, settings.rx[0]);
    settings.tx.resize(2, settings.tx[0]);
    settings.promiscuous = true;
    old = started(false);
    ASSERT_NE(old, nullptr);
    fixture.clock->advance(std::chrono::seconds(1));
    ASSERT_TRUE(old->link().up);
  }
  void TearDown() override {
    if (fresh != nullptr) {
      EXPECT_TRUE(fresh->close());
      EXPECT_THAT(keeper.names(), ElementsAre());
    }
    for (auto& port : dead) port->leave_to_successor();
  }
  [[nodiscard]] std::unique_ptr<PortMachine> opened(bool is_shared) {
    const auto dropped = handover::begin_keeping(*fixture.context.state(), card->name(), keeper.path());
    EXPECT_TRUE(dropped) << dropped.error().message();
    auto view = std::make_unique<SharedCard>(card, is_shared);
    view->on_exchange = [this] {
      ++exchanges;
      for (std::uint32_t queue = 0; queue < 16; ++queue) {
        EXPECT_FALSE(fixture.value<reg::RXDCTL>(queue).has(reg::RXDCTL::ENABLE)) << queue;
        EXPECT_FALSE(fixture.value<reg::TXDCTL>(queue).has(reg::TXDCTL::ENABLE)) << queue;
      }
    };
    auto port = probe(fixture.context, std::move(view));
    EXPECT_TRUE(port) << port.error().message();
    if (!port) return nullptr;
    auto machine = std::make_unique<PortMachine>(fixture.context.state(), *std::move(port));
    const auto configured = test::configure_port(*machine, settings);
    EXPECT_TRUE(configured) << configured.error().message();
    return machine;
  }
  [[nodiscard]] std::unique_ptr<PortMachine> started(bool is_shared) {
    auto port = opened(is_shared);
    if (port == nullptr) return nullptr;
    const auto up = port->start();
    EXPECT_TRUE(up) << up.error().message();
    return port;
  }
  /// Nobody calls it any more. Its successors change a copy: what it has in its memory is freed at the end.
  void crash(std::unique_ptr<PortMachine>& port) {
    dead.push_back(std::move(port));
    keeper.copy("sim/0/state");
  }
  [[nodiscard]] static std::uint32_t poll(PortMachine& port, std::uint32_t most = 1000) {
    std::uint32_t all = 0;
    for (std::uint16_t queue = 0; queue < 2; ++queue) {
      for (Burst<1> burst; all < most && port.rx_queue(queue)->rx_burst(burst) == 1; burst = {}) ++all;
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
  [[nodiscard]] static std::uint64_t counter(PortMachine& port, std::string_view name) {
    const auto all = port.extended_stats();
    const auto found = std::ranges::find(all, name, &Counter::name);
    EXPECT_NE(found, all.end()) << name;
    return found == all.end() ? 0 : found->value;
  }
  [[nodiscard]] static std::vector<std::uint64_t> losses(PortMachine& port) {
    return {counter(port, "lost_in_crash"), counter(port, "received_before_crash"), counter(port, "sent_before_crash")};
  }

  IgbFixture fixture;
  test::FakeKeeper keeper;
  Settings settings;
  std::shared_ptr<Device> card;
  std::vector<std::unique_ptr<PortMachine>> dead;
  std::unique_ptr<PortMachine> old, fresh;
  unsigned injected = 0;
  unsigned exchanges = 0;
};

TEST_F(Crash, TheLinkStaysUpAndNoRegisterOfASettingIsWritten) {
  const unsigned resets = fixture.faults->resets;
  fixture.faults->writes.clear();
  crash(old);
  fresh = started(true);
  EXPECT_EQ(fixture.faults->resets, resets);
  EXPECT_EQ(exchanges, 1u);
  EXPECT_TRUE(fresh->link().up);
  for (const std::uint32_t untouched : registers_of_settings()) {
    for (const auto& [offset, value] : fixture.faults->writes) EXPECT_NE(offset, untouched) << std::hex << offset;
  }
  EXPECT_TRUE(fixture.has_logged("continues after a crash"));
  ASSERT_TRUE(fresh->service());
}

TEST_F(Crash, FramesInTheRingsAreLostByName) {
  inject(40);
  EXPECT_EQ(poll(*old, 10), 10u);
  crash(old);
  inject(8);
  fresh = started(true);
  EXPECT_THAT(losses(*fresh), ElementsAre(38, 10, 0));
  inject(20);
  EXPECT_EQ(poll(*fresh), 20u);
  const Stats stats = fresh->stats();
  EXPECT_EQ(stats.rx_packets, injected) << "the card's counters go on";
  EXPECT_EQ(10u + 38u + 20u + stats.rx_missed_errors, injected);
}

TEST_F(Crash, FramesThatFindAFullRingAreMissedByTheSuccessor) {
  crash(old);
  inject(200);
  fresh = started(true);
  const auto found = losses(*fresh);
  inject(5);
  EXPECT_EQ(poll(*fresh), 5u);
  EXPECT_EQ(found[1], 0u);
  EXPECT_EQ(found[0] + fresh->stats().rx_missed_errors + 5, injected);
  EXPECT_GT(fresh->stats().rx_missed_errors, 50u);
}

TEST_F(Crash, WhatWasGivenToTheCardIsSent) {
  send(*old, 20);
  crash(old);
  fresh = started(true);
  EXPECT_THAT(losses(*fresh), ElementsAre(0, 0, 20));
  EXPECT_EQ(fixture.sent.size(), 20u);
  send(*fresh, 30);
  fixture.clock->advance(std::chrono::milliseconds(1));
  EXPECT_EQ(fixture.sent.size(), 50u);
}

TEST_F(Crash, LossesAddUpFromCrashToCrash) {
  for (unsigned i = 0; i < 3; ++i) {
    inject(12);
    send(*old, 4);
    EXPECT_EQ(poll(*old, 7), 7u);
    crash(old);
    old = started(true);
    ASSERT_NE(old, nullptr);
    EXPECT_THAT(losses(*old), ElementsAre(5 * (i + 1), 7 * (i + 1), 4 * (i + 1)));
  }
  fresh = std::move(old);
  EXPECT_EQ(fresh->stats().rx_packets, injected);
  EXPECT_EQ(fresh->stats().rx_missed_errors, 0u);
}

TEST_F(Crash, ASuccessorThatCrashesInTurnChangesNothing) {
  inject(30);
  EXPECT_EQ(poll(*old, 9), 9u);
  crash(old);
  auto second = opened(true);
  crash(second);
  auto third = started(true);
  EXPECT_THAT(losses(*third), ElementsAre(21, 9, 0));
  crash(third);
  fresh = started(true);
  EXPECT_THAT(losses(*fresh), ElementsAre(21, 9, 0));
  EXPECT_EQ(fresh->stats().rx_packets, injected);
  inject(6);
  EXPECT_EQ(poll(*fresh), 6u);
}

TEST_F(Crash, OtherSettingsNeedAReset) {
  inject(3);
  crash(old);
  settings.promiscuous = false;
  fresh = started(true);
  EXPECT_TRUE(fixture.has_logged("starts anew, since what was kept cannot be continued"));
  EXPECT_TRUE(fixture.has_logged("'promiscuous' differs"));
  EXPECT_THAT(losses(*fresh), ElementsAre(3, 0, 0));
  fixture.clock->advance(std::chrono::seconds(3));
  inject(4);
  EXPECT_EQ(poll(*fresh), 4u);
}

TEST_F(Crash, AProgramThatEndsBeforeAllIsStoredLeavesNothing) {
  crash(old);
  ASSERT_TRUE(handover::Keeper(keeper.path()).store("sim/0/device", STDERR_FILENO));
  EXPECT_THAT(keeper.names(), ElementsAre("sim/0/device", "sim/0/state"));
  keeper.forget("sim/0/state");
  const auto dropped = handover::begin_keeping(*fixture.context.state(), card->name(), keeper.path());
  ASSERT_TRUE(dropped) << dropped.error().message();
  EXPECT_TRUE(*dropped);
  EXPECT_TRUE(fixture.has_logged("ended before all was stored"));
  EXPECT_THAT(keeper.names(), ElementsAre());
  EXPECT_NE(handover::claim(*fixture.context.state(), card->name()), nullptr);
}

TEST_F(Crash, AChangedSettingIsContinued) {
  ASSERT_TRUE(old->change([](Settings& all) { all.promiscuous = false; }));
  settings.promiscuous = false;
  crash(old);
  fresh = started(true);
  EXPECT_FALSE(fixture.has_logged("starts anew"));
}

TEST_F(Crash, ARestartedQueueIsContinued) {
  inject(10);
  EXPECT_EQ(poll(*old), 10u);
  ASSERT_TRUE(old->change([](Settings& all) { all.rx[0].ring = all.rx[1].ring = 128; }));
  settings.rx[0].ring = settings.rx[1].ring = 128;
  inject(6);
  EXPECT_EQ(poll(*old, 2), 2u);
  crash(old);
  fresh = started(true);
  EXPECT_THAT(losses(*fresh), ElementsAre(4, 12, 0));
}

TEST_F(Crash, WhatCannotBeKeptIsRefusedByName) {
  ASSERT_TRUE(old->close());
  settings.mtu = 9000;
  auto port = opened(false);
  const auto up = port->start();
  ASSERT_FALSE(up);
  EXPECT_EQ(up.error().code, ErrorCode::not_supported);
  EXPECT_THAT(up.error().what, HasSubstr("several buffers"));
  EXPECT_TRUE(port->close());
}

TEST_F(Crash, AKeptPortIsNotHandedOver) {
  const auto described = old->describe_handover();
  ASSERT_FALSE(described);
  EXPECT_THAT(described.error().what, HasSubstr("it is kept"));
  EXPECT_TRUE(old->close());
  EXPECT_THAT(keeper.names(), ElementsAre());
}

}  // namespace
}  // namespace pollux::drivers::igb
