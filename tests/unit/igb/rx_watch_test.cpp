// SPDX-License-Identifier: BSD-3-Clause
// A receive queue that takes no frames although it has descriptors is an event; all others are left alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/flow/match.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::IsEmpty;

const std::string kHangs0 = "receive queue 0 takes none of the frames that arrive";
const std::string kHangs1 = "receive queue 1 takes none of the frames that arrive";

class ReceiveWatchdog : public testing::Test {
 protected:
  void SetUp() override { listen(); }
  void listen() {
    fixture_.port.on_event([this](const PortEvent& event) { seen_.push_back(to_string(event)); });
    ASSERT_TRUE(fixture_.port.service());
    seen_.clear();
  }
  /// Each second: `arrive`, then the service.
  void serve(int seconds, const std::function<void()>& arrive) {
    for (int second = 0; second < seconds; ++second) {
      arrive();
      fixture_.clock->advance(1s);
      ASSERT_TRUE(fixture_.port.service());
    }
  }
  void arrive() { fixture_.inject(counting_frame(100)); }
  void hang(std::uint32_t queue) {
    fixture_.card.with([queue](models::igb::Card& card) { card.receiver().queue(queue).hang(); });
  }
  [[nodiscard]] std::uint64_t timeouts() { return fixture_.counter("rx_timeouts"); }
  void configure(const Settings& config) {
    ASSERT_TRUE(fixture_.port.stop());
    ASSERT_TRUE(configure_port(fixture_.port, config));
    ASSERT_TRUE(fixture_.port.start());
    ASSERT_TRUE(fixture_.port.wait_for_link(5s));
    listen();
  }

  CardFixture fixture_{{.port = {.rx = {2, {.ring = 64}}, .tx = {{.ring = 64}}}}};
  std::vector<std::string> seen_;
};

TEST_F(ReceiveWatchdog, AHungQueueIsAnEventAndARestartHelps) {
  hang(0);
  serve(5, [this] { arrive(); });
  EXPECT_THAT(seen_, IsEmpty()) << "less than rx_timeout";
  serve(4, [this] { arrive(); });
  EXPECT_THAT(seen_, testing::ElementsAre(kHangs0));
  EXPECT_EQ(timeouts(), 1U);
  EXPECT_EQ(fixture_.port.state(), PortState::started);
  EXPECT_THAT(fixture_.receive_all(), IsEmpty());
  serve(10, [this] { arrive(); });
  EXPECT_EQ(timeouts(), 2U) << "while it lasts";
  ASSERT_TRUE(fixture_.port.stop_queue(QueueId::rx(0)));
  ASSERT_TRUE(fixture_.port.start_queue(QueueId::rx(0)));
  arrive();
  EXPECT_THAT(fixture_.receive_all(), testing::SizeIs(1));
  serve(20, [this] {
    arrive();
    EXPECT_FALSE(fixture_.receive_all().empty());
  });
  EXPECT_EQ(timeouts(), 2U);
  EXPECT_TRUE(fixture_.every_mbuf_accounted_for());
}

TEST_F(ReceiveWatchdog, AQueueThatDropsIsNamedWhileOthersWork) {
  Settings config = fixture_.config;
  config.rx[0].drop_enable = true;
  configure(config);
  ASSERT_TRUE(test::add_rule(fixture_.port, FlowRule(match::eth().type(0x88B6), to_queue(1))));
  hang(1);
  Frame selected = counting_frame(100);
  selected[13] = std::byte{0xB6};
  serve(10, [&] {
    fixture_.inject(selected);
    arrive();
    EXPECT_EQ(fixture_.receive_all().size(), 1U) << "by queue 0";
  });
  EXPECT_THAT(seen_, testing::ElementsAre(kHangs1));
}

// A descriptor that the card cannot read (a DMA error) ends its queue until it is enabled again.
TEST_F(ReceiveWatchdog, AQueueWhoseDescriptorsCannotBeReadIsAnEvent) {
  fixture_.card.with([](models::igb::Card& card) {
    card.registers().set<hw::igb::RDBAH>(0, hw::igb::RDBAH::Value(0x7FFF'FFFF));
    return 0;
  });
  serve(10, [this] { arrive(); });
  EXPECT_THAT(seen_, Contains(kHangs0));
}

TEST_F(ReceiveWatchdog, AQueueThatNobodyPollsIsLeftAlone) {
  serve(30, [this] {
    for (int i = 0; i < 100; ++i) fixture_.inject(counting_frame(1000));
  });
  EXPECT_GT(fixture_.port.stats().rx_missed_errors, 0U);
  EXPECT_THAT(seen_, IsEmpty());
  EXPECT_EQ(timeouts(), 0U);
}

TEST_F(ReceiveWatchdog, AWorkingQueueIsLeftAlone) {
  serve(30, [this] {
    for (int i = 0; i < 64; ++i) {  // as many as the ring has slots: the head is where it was
      arrive();
      EXPECT_EQ(fixture_.receive_all().size(), 1U);
    }
  });
  EXPECT_THAT(seen_, IsEmpty());
}

TEST_F(ReceiveWatchdog, AnIdleOrStoppedQueueIsLeftAlone) {
  serve(10, [this] { arrive(); });
  static_cast<void>(fixture_.receive_all());
  hang(0);
  serve(20, [] {});
  EXPECT_THAT(seen_, IsEmpty()) << "no frame arrives";
  ASSERT_TRUE(fixture_.port.stop_queue(QueueId::rx(0)));
  serve(20, [this] { arrive(); });
  EXPECT_THAT(seen_, IsEmpty()) << "the queue is stopped";
}

// The card's counters have the frames of virtual functions, too, but for what it drops at the port's queue.
TEST_F(ReceiveWatchdog, FramesOfVirtualFunctionsAreNotThePorts) {
  constexpr MacAddress kFunction{0x02, 0, 0, 0, 0, 0x21};
  ASSERT_TRUE(fixture_.port.stop());
  Settings config = fixture_.config;
  config.rx.resize(1, config.rx[0]);
  ASSERT_TRUE(configure_port(fixture_.port, config));
  ASSERT_TRUE(test::set_functions(fixture_.port, 1));
  ASSERT_TRUE(test::set_function(fixture_.port, 0, {.mac = kFunction}));
  ASSERT_TRUE(fixture_.port.start());
  ASSERT_TRUE(fixture_.port.wait_for_link(5s));
  listen();
  hang(1);  // the port's
  Frame to_function = counting_frame(100);
  std::memcpy(to_function.data(), kFunction.data(), kFunction.size());
  serve(20, [&] { fixture_.inject(to_function); });
  EXPECT_THAT(seen_, IsEmpty());
  serve(20, [this] { arrive(); });
  EXPECT_THAT(seen_, Contains(kHangs0));
}

TEST_F(ReceiveWatchdog, CanBeTurnedOffAndSet) {
  Settings config = fixture_.config;
  ASSERT_TRUE(fixture_.port.stop());
  for (const Duration wrong : {Duration(-1s), Duration(99ms), Duration(2h)}) {
    config.rx_timeout = wrong;
    const auto refused = configure_port(fixture_.port, config);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().what, testing::HasSubstr("rx_timeout"));
  }
  ASSERT_TRUE(configure_port(fixture_.port, fixture_.config));
  ASSERT_TRUE(fixture_.port.start());
  config.rx_timeout = 1s;
  configure(config);
  EXPECT_EQ(fixture_.port.settings().rx_timeout, Duration(1s));
  hang(0);
  serve(5, [this] { arrive(); });
  EXPECT_THAT(seen_, Contains(kHangs0));
  config.rx_timeout = Duration(0);
  configure(config);
  hang(0);
  serve(20, [this] { arrive(); });
  EXPECT_THAT(seen_, IsEmpty());
}

}  // namespace
}  // namespace pollux::test
