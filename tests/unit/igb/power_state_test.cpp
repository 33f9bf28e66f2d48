// SPDX-License-Identifier: BSD-3-Clause
// A suspended port's card is in power state D3hot, in which no register may be accessed.
#include <linux/pci_regs.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/flow/match.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/identify_led.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/nvm.hpp"
#include "pollux/net/port_clock.hpp"
#include "pollux/net/queue_pools.hpp"
#include "pollux/net/register_dump.hpp"
#include "pollux/net/rss.hpp"
#include "pollux/net/self_test.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "pollux/net/wake_on_lan.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::uint32_t kPowerControl = sim::ConfigSpace::kPowerState;
constexpr std::uint32_t kD3hot = 3;

class PowerState : public testing::Test {
 protected:
  void SetUp() override {
    port = fixture.started();
    ASSERT_NE(port, nullptr);
  }
  [[nodiscard]] std::uint32_t control() { return fixture.sim_device->read_config(kPowerControl, 2).value(); }
  [[nodiscard]] std::uint32_t state() { return control() & PCI_PM_CTRL_STATE_MASK; }
  template <class C>
  [[nodiscard]] C& capability() {
    return *port->capability<C>();
  }
  void suspend() {
    const auto suspended = port->suspend();
    ASSERT_TRUE(suspended) << suspended.error().message();
    ASSERT_EQ(port->state(), PortState::suspended);
  }
  void resume() {
    const auto resumed = port->resume();
    ASSERT_TRUE(resumed) << resumed.error().message();
    fixture.clock->advance(1s);
  }
  /// Discards the writes to the power state that ask for `wanted`.
  void keep_from(std::uint32_t wanted) {
    fixture.faults->discards_config = [wanted](std::uint32_t offset, std::uint32_t value) {
      return offset == kPowerControl && (value & PCI_PM_CTRL_STATE_MASK) == wanted;
    };
  }

  IgbFixture fixture;
  std::unique_ptr<PortMachine> port;
};

TEST_F(PowerState, IsD3hotWhileThePortIsSuspended) {
  EXPECT_EQ(state(), 0U);
  for (int round = 0; round < 3; ++round) {
    ASSERT_NO_FATAL_FAILURE(suspend());
    EXPECT_EQ(state(), kD3hot);
    EXPECT_EQ(fixture.sim_device->read_config(PCI_COMMAND, 2).value() & PCI_COMMAND_MASTER, 0U);
    ASSERT_NO_FATAL_FAILURE(resume());
    EXPECT_EQ(state(), 0U);
    EXPECT_EQ(port->state(), PortState::started);
    fixture.wire->inject(broadcast(100));
    Burst<32> burst;
    EXPECT_EQ(port->rx_queue(0)->rx_burst(burst), 1U);
  }
  EXPECT_EQ(fixture.sim_device->accesses_asleep(), 0U);
}

TEST_F(PowerState, IsLeftAloneForTenMillisecondsAfterAChange) {
  std::optional<Time> changed;
  fixture.faults->discards_config = [&](std::uint32_t offset, std::uint32_t) {
    if (offset == kPowerControl) changed = fixture.clock->now();
    return false;
  };
  ASSERT_NO_FATAL_FAILURE(suspend());
  ASSERT_TRUE(changed);
  EXPECT_GE(fixture.clock->now() - *changed, 10ms);
  std::optional<Time> accessed;
  fixture.faults->on_read = [&](std::uint32_t) -> std::optional<std::uint32_t> {
    if (!accessed) accessed = fixture.clock->now();
    return std::nullopt;
  };
  ASSERT_TRUE(port->resume());
  fixture.faults->on_read = nullptr;
  ASSERT_TRUE(accessed);
  EXPECT_GE(*accessed - *changed, 10ms);
}

TEST_F(PowerState, HasPmeExactlyForWakeUpEvents) {
  for (const bool wakes : {false, true, false}) {
    ASSERT_TRUE(port->change([&](Settings& settings) { settings.wake = {.magic = wakes}; }));
    ASSERT_NO_FATAL_FAILURE(suspend());
    EXPECT_EQ((control() & PCI_PM_CTRL_PME_ENABLE) != 0, wakes);
    ASSERT_NO_FATAL_FAILURE(resume());
    EXPECT_EQ(control() & PCI_PM_CTRL_PME_ENABLE, 0U);
  }
}

TEST_F(PowerState, AWakeUpEventSetsItsPmeStatusUntilTheResume) {
  ASSERT_TRUE(port->change([](Settings& settings) { settings.wake = {.broadcast = true}; }));
  ASSERT_NO_FATAL_FAILURE(suspend());
  fixture.clock->advance(1s);
  EXPECT_EQ(control() & PCI_PM_CTRL_PME_STATUS, 0U);
  fixture.with_card([](models::igb::Card& card) {
    card.receive(broadcast(100));
    return 0;
  });
  EXPECT_NE(control() & PCI_PM_CTRL_PME_STATUS, 0U);
  ASSERT_NO_FATAL_FAILURE(resume());
  EXPECT_EQ(control() & PCI_PM_CTRL_PME_STATUS, 0U);
}

TEST_F(PowerState, NoRegisterIsAccessedByWhatIsAllowed) {
  for (const PortState before : {PortState::started, PortState::configured}) {
    if (before == PortState::configured) {
      ASSERT_TRUE(port->stop());
    }
    ASSERT_NO_FATAL_FAILURE(suspend());
    static_cast<void>(port->stats());
    static_cast<void>(port->extended_stats());
    EXPECT_FALSE(port->link().up);
    EXPECT_TRUE(port->service());
    EXPECT_TRUE(capability<RegisterDump>().registers().empty());
    static_cast<void>(capability<FlowControl>().flow_control());
    static_cast<void>(port->settings());
    EXPECT_EQ(port->change([](Settings& settings) { settings.loopback = LoopbackMode::none; }).error().code,
              ErrorCode::bad_state);
    static_cast<void>(port->rx_queue(0)->arm());
    port->rx_queue(0)->disarm();
    static_cast<void>(port->rx_queue(0)->descriptor_status(0));
    Burst<32> burst;
    EXPECT_EQ(port->rx_queue(0)->rx_burst(burst), 0U);
    fixture.clock->advance(10min);
    EXPECT_EQ(fixture.sim_device->accesses_asleep(), 0U);
    ASSERT_NO_FATAL_FAILURE(resume());
    EXPECT_EQ(port->state(), before);
  }
}

TEST_F(PowerState, CallsThatNeedTheCardAreRefused) {
  using Refused = std::function<std::optional<Error>()>;
  const auto outcome = [](auto result) -> std::optional<Error> {
    return result ? std::nullopt : std::optional<Error>(std::move(result).error());
  };
  const std::map<std::string, Refused> calls{
      {"clock", [&] { return outcome(capability<PortClock>().time()); }},
      {"set clock", [&] { return outcome(capability<PortClock>().set_time(1s)); }},
      {"stamps",
       [&] { return outcome(port->change([](Settings& settings) { settings.stamps = {.transmit = true}; })); }},
      {"self-test", [&] { return outcome(capability<SelfTest>().test_offline()); }},
      {"online test", [&] { return outcome(capability<SelfTest>().test_online()); }},
      {"nvm", [&] { return outcome(capability<Nvm>().nvm_info()); }},
      {"words of the nvm", [&] { return outcome(capability<Nvm>().read_nvm(0, 1)); }},
      {"link", [&] { return outcome(capability<LinkControl>().link_details()); }},
      {"set link", [&] { return outcome(port->change([](Settings& settings) { settings.link = {}; })); }},
      {"phy", [&] { return outcome(capability<PhyRegisters>().read_phy_register({.number = 0})); }},
      {"wake-up", [&] { return outcome(port->change([](Settings& settings) { settings.wake = {.magic = true}; })); }},
      {"wake-up support", [&] { return outcome(capability<WakeOnLan>().wake_support()); }},
      {"flow control", [&] { return outcome(port->change([](Settings& settings) { settings.flow_control = {}; })); }},
      {"settings", [&] { return outcome(port->change([](Settings&) {})); }},
      {"flow rule",
       [&] { return outcome(test::add_rule(*port, FlowRule(match::ipv4().udp().destination_port(53), to_queue(0)))); }},
      {"mtu", [&] { return outcome(test::set_mtu(*port, 1400)); }},
      {"mac", [&] {
         return outcome(test::set_mac(*port, {2, 0, 0, 0, 0, 8}));
       }}};
  ASSERT_NO_FATAL_FAILURE(suspend());
  for (const auto& [name, call] : calls) {
    const auto refused = call();
    ASSERT_TRUE(refused) << name;
    EXPECT_EQ(refused->code, ErrorCode::bad_state) << name;
    EXPECT_THAT(refused->what, HasSubstr("suspended")) << name;
    EXPECT_EQ(refused->hint, "resume the port first") << name;
  }
  EXPECT_EQ(fixture.sim_device->accesses_asleep(), 0U);
}

TEST_F(PowerState, IsD0BeforeTheDeviceIsReleased) {
  enum class Way : std::uint8_t { close, detach, destruction };
  for (const Way way : {Way::close, Way::detach, Way::destruction}) {
    if (port == nullptr) port = fixture.started();
    ASSERT_TRUE(port->change([](Settings& settings) { settings.wake = {.magic = true}; }));
    ASSERT_NO_FATAL_FAILURE(suspend());
    fixture.faults->writes.clear();
    if (way != Way::destruction) {
      EXPECT_TRUE(way == Way::close ? port->close() : port->detach());
    }
    port.reset();
    EXPECT_FALSE(fixture.faults->writes.empty()) << "the card is shut down properly";
    EXPECT_EQ(fixture.faults->accesses_asleep, 0U) << static_cast<int>(way);
    EXPECT_TRUE(fixture.all_mbufs_free());
  }
}

TEST_F(PowerState, ACardThatStaysInD3hotFails) {
  ASSERT_NO_FATAL_FAILURE(suspend());
  keep_from(0);
  const auto resumed = port->resume();
  ASSERT_FALSE(resumed);
  EXPECT_EQ(resumed.error().code, ErrorCode::timeout);
  EXPECT_THAT(resumed.error().what, HasSubstr("power state D0"));
  EXPECT_EQ(port->state(), PortState::failed);
  static_cast<void>(port->stats());
  EXPECT_EQ(port->change([](Settings& settings) { settings.led = LedMode::on; }).error().code, ErrorCode::bad_state);
  EXPECT_TRUE(port->detach());
  EXPECT_EQ(fixture.faults->accesses_asleep, 0U);
  fixture.faults->discards_config = nullptr;
  ASSERT_TRUE(port->attach(fixture.device()));
  EXPECT_EQ(port->state(), PortState::started);
}

TEST_F(PowerState, ACardThatStaysInD3hotIsReleasedWithAnError) {
  for (const bool closes : {false, true}) {
    ASSERT_NO_FATAL_FAILURE(suspend());
    keep_from(0);
    const auto released = closes ? port->close() : port->detach();
    ASSERT_FALSE(released);
    EXPECT_EQ(released.error().code, ErrorCode::timeout);
    EXPECT_EQ(port->state(), closes ? PortState::closed : PortState::detached);
    fixture.faults->discards_config = nullptr;
    if (!closes) {
      ASSERT_TRUE(port->attach(fixture.device()));
    }
  }
  EXPECT_EQ(fixture.faults->accesses_asleep, 0U);
}

TEST_F(PowerState, ACardThatThePlatformKeepsInD0IsSuspendedThere) {
  keep_from(kD3hot);
  ASSERT_NO_FATAL_FAILURE(suspend());
  EXPECT_EQ(state(), 0U);
  EXPECT_TRUE(fixture.has_logged("does not enter power state D3hot"));
  ASSERT_NO_FATAL_FAILURE(resume());
  EXPECT_EQ(port->state(), PortState::started);
}

TEST(PowerStateOfFunctions, StaysD0WhileTheyAreEnabled) {
  IgbFixture fixture;
  auto device = sim::SimDevice::create(fixture.context, "sim:0", fixture.wire, 0);
  ASSERT_TRUE(device);
  sim::SimDevice& card = **device;
  auto driver = probe(fixture.context, *std::move(device));
  ASSERT_TRUE(driver);
  PortMachine port(fixture.context.state(), *std::move(driver));
  ASSERT_TRUE(test::configure_port(port, fixture.config()));
  for (const unsigned functions : {2U, 0U}) {
    ASSERT_TRUE(test::set_functions(port, functions));
    ASSERT_TRUE(port.suspend());
    EXPECT_EQ(card.read_config(kPowerControl, 2).value() & PCI_PM_CTRL_STATE_MASK, functions == 0 ? kD3hot : 0U);
    const auto refused = test::set_functions(port, 1);
    EXPECT_EQ(refused.error().code, ErrorCode::bad_state);
    ASSERT_TRUE(port.resume());
    EXPECT_EQ(port.settings().functions.size(), functions);
  }
  EXPECT_EQ(card.accesses_asleep(), 0U);
}

}  // namespace
}  // namespace pollux::drivers::igb
