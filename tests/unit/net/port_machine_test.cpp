// SPDX-License-Identifier: BSD-3-Clause
// Which driver functions are called, in which order, and what happens to the port if one fails.
#include "net/port_machine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pollux/mem/context.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// What a test tells its driver to do, and the calls that the driver got.
struct Script {
  std::vector<std::string> calls;
  std::optional<ErrorCode> start, halt, close_queues, service, release;
  std::optional<ErrorCode> check, pause;
  std::vector<ErrorCode> apply;  // errors of the next calls, the last one first
  std::optional<ErrorCode> prepare, close_queue, halt_queue, start_queue;
  bool restarts = true;
  bool harmless = true;
  Settings settings;
  PortDriver* driver = nullptr;  ///< until it is destroyed

  Result<void> note(std::string call, const std::optional<ErrorCode>& error = std::nullopt) {
    calls.push_back(std::move(call));
    return error ? Result<void>(fail(*error, calls.back() + " failed")) : Result<void>();
  }
};

class ScriptedDriver final : public PortDriver, private QueueRestart {
 public:
  ScriptedDriver(Script& script, std::uint16_t index) : script_(script) {
    info_.name = "fake:0";
    info_.card = "a fake";
    for (const Setting one : {Setting::vlan_stripping, Setting::led}) info_.supports.insert(one);
    info_.index = index;
    info_.limits = {.max_tx_queues = 2, .min_ring = 8, .max_ring = 512, .min_mtu = 68, .max_mtu = 9000};
    info_.limits.rings_hold_buffers = true;
    script_.driver = this;
  }
  ~ScriptedDriver() override { script_.driver = nullptr; }
  [[nodiscard]] const PortInfo& info() const override { return info_; }
  [[nodiscard]] MacAddress permanent_mac() const override { return {2, 0, 0, 0, 0, 1}; }
  [[nodiscard]] Result<void> configure(const PlacedSettings&) override { return script_.note("configure"); }
  [[nodiscard]] Result<void> fill() override { return script_.note("fill"); }
  [[nodiscard]] QueueRestart* queue_restart() noexcept override { return script_.restarts ? this : nullptr; }
  [[nodiscard]] Result<void> prepare(QueueId, const PlacedSettings&, bool) override {
    return script_.note("prepare", script_.prepare);
  }
  void discard() noexcept override { static_cast<void>(script_.note("discard")); }
  [[nodiscard]] Result<void> close_queue(QueueId queue, Duration) override {
    return script_.note("close_queue " + std::to_string(queue.index), script_.close_queue);
  }
  [[nodiscard]] Result<void> halt_queue(QueueId) override { return script_.note("halt_queue", script_.halt_queue); }
  void exchange(QueueId) noexcept override { static_cast<void>(script_.note("exchange")); }
  [[nodiscard]] Result<void> start_queue(QueueId) override { return script_.note("start_queue", script_.start_queue); }
  void open_queue(QueueId) noexcept override { static_cast<void>(script_.note("open_queue")); }
  [[nodiscard]] Result<void> start() override {
    script_.settings = settings();
    return script_.note("start", script_.start);
  }
  void open_queues() noexcept override { static_cast<void>(script_.note("open_queues")); }
  [[nodiscard]] Result<void> close_queues(Duration) override {
    return script_.note("close_queues", script_.close_queues);
  }
  [[nodiscard]] Result<void> halt() override { return script_.note("halt", script_.halt); }
  std::uint32_t drain(DrainReason reason) noexcept override {
    static_cast<void>(script_.note(reason == DrainReason::stopped ? "drain" : "drain removed"));
    return 7;
  }
  [[nodiscard]] Result<void> check(const PlacedSettings&, PlacedSettings&) override {
    return script_.check ? fail(*script_.check, "check failed") : Result<void>();
  }
  [[nodiscard]] Result<void> pause(Duration) override { return script_.note("pause", script_.pause); }
  void unpause() noexcept override { static_cast<void>(script_.note("unpause")); }
  [[nodiscard]] Result<void> apply(const PlacedSettings* from, const PlacedSettings& to) override {
    std::string call = "apply";
    if (from->mac != to.mac) call += " mac";
    if (from->mtu != to.mtu) call += " mtu " + std::to_string(to.mtu);
    if (from->promiscuous != to.promiscuous) call += " promiscuous";
    if (from->all_multicast != to.all_multicast) call += " all_multicast";
    if (from->vlan_stripping != to.vlan_stripping) call += " stripping";
    if (from->led != to.led) call += " led";
    EXPECT_EQ(&to, &settings()) << "they are in force already";
    const auto error = script_.apply.empty() ? std::nullopt : std::optional(script_.apply.back());
    if (error) script_.apply.pop_back();
    return script_.note(std::move(call), error);
  }
  [[nodiscard]] Link link() override { return {.up = true}; }
  [[nodiscard]] Stats stats() override { return {}; }
  void append_counters(std::vector<Counter>&) override {}
  [[nodiscard]] Result<Duration> service() override {
    if (auto well = script_.note("service", script_.service); !well) return pass_on(std::move(well));
    return Duration(1);
  }
  [[nodiscard]] bool make_harmless() override { return script_.harmless; }
  [[nodiscard]] Result<void> release(bool failed) override {
    return script_.note(failed ? "release failed" : "release", script_.release);
  }
  void retire() noexcept override { static_cast<void>(script_.note("retire")); }

 private:
  Script& script_;
  PortInfo info_;
};

class Machine : public testing::Test {
 protected:
  void open() {
    port_ = std::make_unique<PortMachine>(
        context_.state(), std::make_unique<ScriptedDriver>(script_, context_.state()->take_port_index()));
  }
  void start() {
    open();
    ASSERT_TRUE(test::configure_port(*port_, {.rx = {}}));
    ASSERT_TRUE(port_->start());
    script_.calls.clear();
  }
  [[nodiscard]] std::uint64_t removed_buffers() {
    for (const Counter& counter : port_->extended_stats()) {
      if (counter.name == "removed_buffers") return counter.value;
    }
    return ~std::uint64_t{0};
  }

  Script script_;
  Context context_{{.huge_pages = HugePages::never}};
  std::unique_ptr<PortMachine> port_;
};

TEST_F(Machine, CallsTheDriverInOrder) {
  open();
  EXPECT_THAT(script_.calls, IsEmpty());
  ASSERT_TRUE(test::configure_port(*port_, {.rx = {}}));
  ASSERT_TRUE(port_->start());
  EXPECT_THAT(script_.calls, ElementsAre("configure", "fill", "start", "open_queues"));
  script_.calls.clear();
  ASSERT_TRUE(port_->stop());
  EXPECT_THAT(script_.calls, ElementsAre("close_queues", "halt", "drain"));
  script_.calls.clear();
  ASSERT_TRUE(port_->close());
  EXPECT_THAT(script_.calls, ElementsAre("release", "retire"));
  EXPECT_EQ(removed_buffers(), 0u);
}

TEST_F(Machine, RestartsOneQueueStepByStep) {
  start();
  ASSERT_TRUE(test::restart_tx(*port_, 0, {.ring = 32}));
  EXPECT_THAT(script_.calls,
              ElementsAre("prepare", "close_queue 0", "halt_queue", "exchange", "start_queue", "open_queue"));
  EXPECT_EQ(port_->config().tx[0].ring, 32U);
  ASSERT_TRUE(port_->stop());
  script_.calls.clear();
  ASSERT_TRUE(test::restart_tx(*port_, 0, {.ring = 64}));
  EXPECT_THAT(script_.calls, ElementsAre("configure"));
}

TEST_F(Machine, KeepsAQueueWhoseRestartIsRefused) {
  start();
  const auto before = test::state_of(*port_);
  EXPECT_FALSE(test::restart_tx(*port_, 0, {.ring = 33}));
  EXPECT_THAT(script_.calls, IsEmpty());
  script_.prepare = ErrorCode::no_memory;
  EXPECT_EQ(test::restart_tx(*port_, 0, {.ring = 32}).error().code, ErrorCode::no_memory);
  EXPECT_THAT(script_.calls, ElementsAre("prepare"));
  script_.prepare.reset();
  script_.calls.clear();
  script_.close_queue = ErrorCode::timeout;
  EXPECT_EQ(test::restart_tx(*port_, 0, {.ring = 32}).error().code, ErrorCode::timeout);
  EXPECT_THAT(script_.calls, ElementsAre("prepare", "close_queue 0", "open_queue", "discard"));
  EXPECT_EQ(port_->state(), PortState::started);
  EXPECT_EQ(test::state_of(*port_), before);
  script_.restarts = false;
  const auto refused = test::restart_tx(*port_, 0, {.ring = 32});
  EXPECT_EQ(refused.error().code, ErrorCode::not_supported);
  EXPECT_THAT(refused.error().hint, HasSubstr("stop the port"));
}

TEST_F(Machine, FailsWhereAQueueDoesNotStopOrStart) {
  start();
  script_.halt_queue = ErrorCode::timeout;
  EXPECT_EQ(test::restart_tx(*port_, 0, {.ring = 32}).error().code, ErrorCode::timeout);
  EXPECT_THAT(script_.calls, ElementsAre("prepare", "close_queue 0", "halt_queue", "discard", "close_queues", "halt"));
  EXPECT_EQ(port_->state(), PortState::failed);
  EXPECT_EQ(test::restart_tx(*port_, 0, {}).error().code, ErrorCode::bad_state);
  script_ = {};
  start();
  script_.start_queue = ErrorCode::device_fault;
  EXPECT_EQ(test::restart_tx(*port_, 0, {.ring = 32}).error().code, ErrorCode::device_fault);
  EXPECT_THAT(script_.calls,
              ElementsAre("prepare", "close_queue 0", "halt_queue", "exchange", "start_queue", "close_queues", "halt"));
  EXPECT_EQ(port_->state(), PortState::failed);
}

TEST_F(Machine, CallsNothingInAWrongState) {
  open();
  EXPECT_EQ(port_->start().error().code, ErrorCode::bad_state);
  EXPECT_EQ(test::configure_port(*port_, {.rx = {}, .tx = std::vector<TxQueueConfig>(3)}).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(test::configure_port(*port_, {.rx = {}, .tx = {{.ring = 12}}}).error().code, ErrorCode::invalid_argument);
  for (const MacAddress& wrong : {MacAddress{1, 0, 0, 0, 0, 1}, MacAddress{}})
    EXPECT_EQ(test::set_mac(*port_, wrong).error().code, ErrorCode::invalid_argument);
  ASSERT_TRUE(test::configure_port(*port_, {.rx = {}}));
  EXPECT_EQ(test::set_mtu(*port_, 9001).error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(script_.calls, ElementsAre("configure"));
  EXPECT_EQ(port_->settings().mtu, 1500u);
}

TEST_F(Machine, ASettingIsAppliedAtStartOrAtOnce) {
  open();
  ASSERT_TRUE(test::set_mac(*port_, {2, 0, 0, 0, 0, 9}));
  ASSERT_TRUE(test::configure_port(*port_, {.rx = {}, .mtu = 1400}));
  ASSERT_TRUE(test::set_promiscuous(*port_, true));
  EXPECT_THAT(script_.calls, ElementsAre("configure"));
  ASSERT_TRUE(port_->start());
  EXPECT_EQ(script_.settings.mac, (MacAddress{2, 0, 0, 0, 0, 9}));
  EXPECT_EQ(script_.settings.mtu, 1400u);
  EXPECT_TRUE(script_.settings.promiscuous);
  EXPECT_FALSE(script_.settings.all_multicast);
  script_.calls.clear();
  ASSERT_TRUE(test::set_mac(*port_, {2, 0, 0, 0, 0, 8}));
  ASSERT_TRUE(test::set_mtu(*port_, 1300));
  ASSERT_TRUE(test::set_all_multicast(*port_, true));
  ASSERT_TRUE(test::set_promiscuous(*port_, false));
  EXPECT_THAT(script_.calls, ElementsAre("apply mac", "apply mtu 1300", "apply all_multicast", "apply promiscuous"));
  EXPECT_EQ(port_->settings().mtu, 1300u);
}

TEST_F(Machine, ARefusedSettingReachesNoCard) {
  start();
  script_.check = ErrorCode::not_supported;
  EXPECT_EQ(test::set_mtu(*port_, 1400).error().code, ErrorCode::not_supported);
  EXPECT_THAT(script_.calls, IsEmpty());
  EXPECT_EQ(port_->settings().mtu, 1500u);
}

TEST_F(Machine, ASettingThatFailsIsTakenBack) {
  start();
  script_.apply = {ErrorCode::timeout};
  EXPECT_EQ(test::set_mtu(*port_, 1400).error().code, ErrorCode::timeout);
  EXPECT_THAT(script_.calls, ElementsAre("apply mtu 1400", "apply mtu 1500"));
  EXPECT_EQ(port_->settings().mtu, 1500u);
  EXPECT_EQ(port_->state(), PortState::started);
}

TEST_F(Machine, ThePortFailsIfTheOldSettingFailsToo) {
  start();
  script_.apply = {ErrorCode::device_fault, ErrorCode::timeout};
  EXPECT_EQ(test::set_mtu(*port_, 1400).error().code, ErrorCode::timeout);
  EXPECT_EQ(port_->settings().mtu, 1500u);
  EXPECT_EQ(port_->state(), PortState::failed);
}

TEST_F(Machine, ASettingThatItsOwnerRefusesHasChangedNothing) {
  start();
  script_.apply = {ErrorCode::permission_denied};
  EXPECT_EQ(test::set_mtu(*port_, 1400).error().code, ErrorCode::permission_denied);
  EXPECT_THAT(script_.calls, ElementsAre("apply mtu 1400"));
  EXPECT_EQ(port_->state(), PortState::started);
}

TEST_F(Machine, TheQueuesPauseForASettingOfTags) {
  start();
  const auto strip = [&] {
    return port_->change([](Settings& settings) { settings.vlan_stripping = !settings.vlan_stripping; });
  };
  ASSERT_TRUE(strip());
  EXPECT_THAT(script_.calls, ElementsAre("pause", "apply stripping", "unpause"));
  script_.calls.clear();
  script_.pause = ErrorCode::timeout;
  EXPECT_EQ(strip().error().code, ErrorCode::timeout);
  EXPECT_THAT(script_.calls, ElementsAre("pause"));
  EXPECT_TRUE(port_->settings().vlan_stripping);
}

TEST_F(Machine, OnlyWhatConcernsTheCardOfAStoppedPortIsAppliedThere) {
  open();
  ASSERT_TRUE(port_->change([](Settings& settings) { settings.vlan_stripping = true; }));
  EXPECT_THAT(script_.calls, ElementsAre());
  const auto set = [&](LedMode led) { return port_->change([=](Settings& all) { all.led = led; }); };
  ASSERT_TRUE(set(LedMode::on));
  EXPECT_THAT(script_.calls, ElementsAre("apply led"));
  script_.apply = {ErrorCode::timeout};
  EXPECT_EQ(set(LedMode::off).error().code, ErrorCode::timeout);
  EXPECT_THAT(script_.calls, ElementsAre("apply led", "apply led", "apply led"));
  EXPECT_EQ(port_->settings().led, LedMode::on);
}

TEST_F(Machine, AFailedStartIsUndone) {
  open();
  ASSERT_TRUE(test::configure_port(*port_, {.rx = {}}));
  script_.start = ErrorCode::timeout;
  script_.calls.clear();
  EXPECT_EQ(port_->start().error().code, ErrorCode::timeout);
  EXPECT_THAT(script_.calls, ElementsAre("fill", "start", "halt", "drain"));
  EXPECT_EQ(port_->state(), PortState::configured);
  script_.start.reset();
  EXPECT_TRUE(port_->start());
}

TEST_F(Machine, AStartWithARemovedCardFailsThePort) {
  open();
  ASSERT_TRUE(test::configure_port(*port_, {.rx = {}}));
  script_.start = ErrorCode::device_removed;
  EXPECT_EQ(port_->start().error().code, ErrorCode::device_removed);
  EXPECT_EQ(port_->state(), PortState::failed);
  script_.calls.clear();
  ASSERT_TRUE(port_->close());
  EXPECT_THAT(script_.calls, ElementsAre("release failed", "drain removed", "retire"));
  EXPECT_EQ(removed_buffers(), 7u);
}

TEST_F(Machine, ACardThatDoesNotStopKeepsItsMemory) {
  start();
  script_.halt = ErrorCode::timeout;
  script_.harmless = false;
  EXPECT_EQ(port_->stop().error().code, ErrorCode::timeout);
  EXPECT_EQ(port_->state(), PortState::failed);
  EXPECT_THAT(test::configure_port(*port_, {.rx = {}}).error().what, HasSubstr("halt failed"))
      << "the reason of the failure";
  script_.calls.clear();
  const auto closed = port_->close();
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().code, ErrorCode::timeout);
  EXPECT_THAT(closed.error().what, HasSubstr("cannot be used again"));
  EXPECT_THAT(script_.calls, ElementsAre("release failed"));
  EXPECT_EQ(port_->state(), PortState::closed);
  port_.reset();
  ASSERT_NE(script_.driver, nullptr);
  delete script_.driver;
}

TEST_F(Machine, AStuckPollerKeepsThePortStarted) {
  start();
  script_.close_queues = ErrorCode::timeout;
  EXPECT_EQ(port_->stop().error().code, ErrorCode::timeout);
  EXPECT_EQ(port_->close().error().code, ErrorCode::timeout);
  EXPECT_EQ(port_->state(), PortState::started);
  EXPECT_THAT(script_.calls, ElementsAre("close_queues", "close_queues"));
  script_.close_queues.reset();
  EXPECT_TRUE(port_->close());
  port_.reset();
  EXPECT_EQ(script_.driver, nullptr);
}

TEST_F(Machine, APortDestroyedUnderAPollerKeepsItsMemory) {
  start();
  script_.close_queues = ErrorCode::timeout;
  port_.reset();
  EXPECT_THAT(script_.calls, ElementsAre("close_queues", "release failed"));
  ASSERT_NE(script_.driver, nullptr);
  delete script_.driver;
}

TEST_F(Machine, AFailedServiceStopsThePort) {
  start();
  script_.service = ErrorCode::device_fault;
  EXPECT_EQ(port_->service().error().code, ErrorCode::device_fault);
  EXPECT_THAT(script_.calls, ElementsAre("service", "close_queues", "halt"));
  EXPECT_EQ(port_->state(), PortState::failed);
  EXPECT_FALSE(port_->link().up);
  EXPECT_EQ(port_->service().error().code, ErrorCode::device_fault) << "the driver is not called again";
  EXPECT_EQ(script_.calls.size(), 3u);
}

TEST_F(Machine, AnErrorOfReleaseIsReturnedAndThePortClosed) {
  start();
  script_.release = ErrorCode::timeout;
  EXPECT_EQ(port_->close().error().code, ErrorCode::timeout);
  EXPECT_EQ(port_->state(), PortState::closed);
  EXPECT_EQ(context_.state()->take_port_index(), 0) << "its index is free again";
}

TEST_F(Machine, RejectsAForwardPathBetweenTwoContexts) {
  open();
  ASSERT_TRUE(test::configure_port(*port_, {.rx = {}}));
  Context other({.huge_pages = HugePages::never});
  Script script;
  PortMachine second(other.state(), std::make_unique<ScriptedDriver>(script, other.state()->take_port_index()));
  EXPECT_EQ(port_->forward_path(0, second, 0).error().code, ErrorCode::bad_state);
  ASSERT_TRUE(test::configure_port(second, {.rx = {}}));
  EXPECT_THAT(port_->forward_path(0, second, 0).error().what, HasSubstr("another Context"));
}

}  // namespace
}  // namespace pollux
