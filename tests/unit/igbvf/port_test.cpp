// SPDX-License-Identifier: BSD-3-Clause
// A port on a virtual function that transfers no frames: its requests to the physical function, and its reaction to the
// answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "drivers/intel/igbvf/driver.hpp"
#include "pollux/pollux.hpp"
#include "support/settings_edits.hpp"
#include "unit/igbvf/fake_function.hpp"

namespace pollux::drivers::igbvf {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

constexpr MacAddress kAssigned{0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
constexpr MacAddress kOther{0x02, 0x11, 0x22, 0x33, 0x44, 0x66};
constexpr MacAddress kGroup{0x01, 0x00, 0x5E, 0x01, 0x02, 0x03};

class FunctionPort : public testing::Test {
 protected:
  FunctionPort() { function->mac = kAssigned; }

  Result<Port> try_open(std::size_t bar_bytes = hw::igbvf::kRegisterBytes) {
    auto driver = probe(context, std::make_unique<FakeDevice>(function, bar_bytes));
    if (!driver) return tl::unexpected<Error>(driver.error());
    return Port(context.state(), *std::move(driver));
  }
  Port opened() { return try_open().value(); }
  Settings config() { return {.rx = {{.pool = *pool, .ring = 64}}, .tx = {{.ring = 64}}}; }
  Port started() {
    Port port = opened();
    EXPECT_TRUE(test::configure_port(port, config()));
    const auto started = port.start();
    EXPECT_TRUE(started) << (started ? "" : started.error().message());
    return port;
  }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock}};
  Result<Mempool> pool = Mempool::create(context, {.count = 256});
  std::shared_ptr<FakeFunction> function = std::make_shared<FakeFunction>();
};

TEST_F(FunctionPort, DescribesItself) {
  Port port = opened();
  EXPECT_EQ(port.info().driver, "igbvf");
  EXPECT_EQ(port.info().card, "Intel 82576 virtual function");
  EXPECT_EQ(port.info().limits.max_rx_queues, 1);
  EXPECT_FALSE(port.info().supports.test(Setting::promiscuous));
  EXPECT_EQ(port.info().missed_count, MissedCount::lower_bound);
  EXPECT_EQ(port.mac(), kAssigned);
  EXPECT_TRUE(port.capability<RegisterDump>());
  EXPECT_TRUE(port.info().supports.test(Setting::multicast));
  EXPECT_TRUE(port.info().supports.test(Setting::vlans));
}

TEST_F(FunctionPort, RequestsARandomAddressIfNoneIsAssigned) {
  function->mac.reset();
  Port port = opened();
  const MacAddress own = port.mac();
  EXPECT_EQ(own[0] & 3, 2);
  ASSERT_TRUE(test::configure_port(port, config()));
  ASSERT_TRUE(port.start());
  const auto requested = function->requests_of(Message::set_address);
  ASSERT_THAT(requested, SizeIs(1));
  EXPECT_TRUE(std::equal(own.begin(), own.end(), reinterpret_cast<const std::uint8_t*>(&requested[0][1])));
}

TEST_F(FunctionPort, DoesNotRequestTheAssignedAddress) {
  started();
  EXPECT_THAT(function->requests_of(Message::set_address), SizeIs(0));
}

TEST_F(FunctionPort, RejectsABarThatIsTooSmall) {
  const auto port = try_open(4096);
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::device_fault);
  EXPECT_THAT(port.error().what, HasSubstr("4096"));
}

TEST_F(FunctionPort, DoesNotOpenIfThePhysicalFunctionIsDown) {
  function->reads = false;
  const auto port = try_open();
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::timeout);
  EXPECT_THAT(port.error().hint, HasSubstr("ip link set"));
}

TEST_F(FunctionPort, ProgramsItsRingsAtTheOffsetsOfAFunction) {
  Port port = started();
  EXPECT_EQ(function->at<hw::intel::RDLEN>(), 64U * 16);
  EXPECT_EQ(function->at<hw::intel::TDLEN>(), 64U * 16);
  EXPECT_EQ(function->words[0x2818 / 4], 63U) << "RDT";
  EXPECT_NE(function->words[0x2800 / 4], 0U) << "RDBAL";
  EXPECT_TRUE(hw::intel::SRRCTL::Value(function->at<hw::intel::SRRCTL>()).has(hw::intel::SRRCTL::DROP_EN));
  EXPECT_EQ(function->unknown, 0U);
}

TEST_F(FunctionPort, RequestsItsMtuAtEachStartAndChange) {
  Port port = started();
  ASSERT_TRUE(test::set_mtu(port, 1400));
  const auto requested = function->requests_of(Message::set_max_frame);
  ASSERT_THAT(requested, SizeIs(2));
  EXPECT_EQ(requested[0][1], 1522U);
  EXPECT_EQ(requested[1][1], 1422U);
}

TEST_F(FunctionPort, KeepsItsAddressIfAnotherIsRefused) {
  Port port = started();
  function->refuses = Message::set_address;
  const auto set = test::set_mac(port, kOther);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, ErrorCode::permission_denied);
  EXPECT_EQ(port.mac(), kAssigned);
  function->refuses.reset();
  ASSERT_TRUE(test::set_mac(port, kOther));
  EXPECT_EQ(port.mac(), kOther);
}

TEST_F(FunctionPort, KeepsItsMtuIfAnotherIsRefused) {
  Port port = started();
  function->refuses = Message::set_max_frame;
  ASSERT_FALSE(test::set_mtu(port, 1400));
  EXPECT_EQ(port.settings().mtu, 1500U);
}

TEST_F(FunctionPort, KeepsItsMulticastModeIfAChangeIsRefused) {
  Port port = started();
  function->refuses = Message::set_promiscuous;
  ASSERT_FALSE(test::set_all_multicast(port, true));
  function->refuses.reset();
  function->requests.clear();
  ASSERT_TRUE(port.stop());
  ASSERT_TRUE(port.start());
  EXPECT_THAT(function->requests_of(Message::set_promiscuous), SizeIs(0));
}

// A write-back that is on its way has arrived before the reset, as with Linux's igbvf_down.
TEST_F(FunctionPort, DisablesItsQueuesBeforeItResets) {
  Port port = started();
  const unsigned before = function->resets;
  ASSERT_TRUE(port.stop());
  EXPECT_GT(function->resets, before);
  EXPECT_EQ(function->resets_while_on, 0U);
}

TEST_F(FunctionPort, RepeatsEveryRequestAtEachStart) {
  Port port = started();
  ASSERT_TRUE(test::set_all_multicast(port, true));
  ASSERT_TRUE(port.change([&](Settings& settings) { settings.multicast = std::vector{kGroup}; }));
  ASSERT_TRUE(port.change(test::with_vlan(7)));
  ASSERT_TRUE(port.change(test::with_vlan(8)));
  ASSERT_TRUE(port.change(test::with_vlan(7, false)));
  ASSERT_TRUE(test::set_mac(port, kOther));
  ASSERT_TRUE(port.stop());
  function->requests.clear();
  ASSERT_TRUE(port.start());
  EXPECT_THAT(function->requests_of(Message::set_promiscuous), SizeIs(1));
  EXPECT_THAT(function->requests_of(Message::set_multicast), SizeIs(1));
  EXPECT_THAT(function->requests_of(Message::set_address), SizeIs(1));
  const auto vlans = function->requests_of(Message::set_vlan);
  ASSERT_THAT(vlans, SizeIs(1));
  EXPECT_EQ(vlans[0][1], 8U);
}

TEST_F(FunctionPort, ARequestWithoutAnAnswerLeavesThePortAsItWas) {
  Port port = started();
  ASSERT_TRUE(port.change(test::with_vlan(7)));
  function->answers = false;
  EXPECT_EQ(test::set_mtu(port, 1400).error().code, ErrorCode::timeout);
  EXPECT_EQ(test::set_mac(port, kOther).error().code, ErrorCode::timeout);
  EXPECT_EQ(test::set_all_multicast(port, true).error().code, ErrorCode::timeout);
  EXPECT_EQ(port.change(test::with_vlan(8)).error().code, ErrorCode::timeout);
  EXPECT_EQ(port.change(test::with_vlan(7, false)).error().code, ErrorCode::timeout);
  EXPECT_EQ(port.state(), PortState::started);
  EXPECT_EQ(port.settings().mtu, 1500U);
  EXPECT_EQ(port.mac(), kAssigned);
  function->answers = true;
  EXPECT_TRUE(port.change(test::with_vlan(7, false)));
  EXPECT_TRUE(test::set_mtu(port, 1400));
}

TEST_F(FunctionPort, RejectsInvalidGroupsAndVlans) {
  Port port = started();
  function->requests.clear();
  const auto station = port.change([&](Settings& settings) { settings.multicast = std::vector{kGroup, kOther}; });
  ASSERT_FALSE(station);
  EXPECT_THAT(station.error().what, HasSubstr("02:11:22:33:44:66"));
  std::vector<MacAddress> groups;
  for (std::uint8_t last = 0; last < 31; ++last) groups.push_back({0x01, 0, 0x5E, 0, 0, last});
  const auto many = port.change([&](Settings& settings) { settings.multicast = groups; });
  ASSERT_FALSE(many);
  EXPECT_THAT(many.error().what, HasSubstr("31"));
  const auto set = port.change(test::with_vlan(4095));
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(function->requests, SizeIs(0));
  EXPECT_TRUE(port.change([&](Settings& settings) { settings.multicast = std::vector<MacAddress>(30, kGroup); }));
}

TEST_F(FunctionPort, AClosedPortHasNoFilters) {
  Port port = started();
  const auto dump = port.capability<RegisterDump>();
  EXPECT_FALSE(dump->registers().empty());
  ASSERT_TRUE(port.close());
  EXPECT_EQ(port.change(test::with_vlan(7)).error().code, ErrorCode::bad_state);
  EXPECT_EQ(port.change([](Settings& settings) { settings.multicast = {}; }).error().code, ErrorCode::bad_state);
  EXPECT_TRUE(dump->registers().empty());
}

TEST_F(FunctionPort, ReadsItsLinkFromThePhysicalFunction) {
  Port port = started();
  EXPECT_EQ(port.link(), (Link{.up = true, .speed = 1000, .duplex = Duplex::full, .autonegotiated = true}));
  function->link_up = false;
  EXPECT_FALSE(port.link().up);
}

TEST_F(FunctionPort, FailsWithANamedErrorWhenThePhysicalFunctionWasReset) {
  Port port = started();
  ASSERT_TRUE(port.service());
  function->reset_by_physical();
  const auto service = port.service();
  ASSERT_FALSE(service);
  EXPECT_EQ(service.error().code, ErrorCode::device_fault);
  EXPECT_THAT(service.error().what, HasSubstr("physical function was reset"));
  EXPECT_EQ(port.state(), PortState::failed);
  EXPECT_FALSE(port.link().up);
  EXPECT_TRUE(port.close());
  EXPECT_EQ(pool->stats().in_use(), 0U);
  EXPECT_TRUE(try_open()) << "the port can be opened again";
}

TEST_F(FunctionPort, AResetBeforeTheStartIsHarmless) {
  Port port = opened();
  function->reset_by_physical();
  ASSERT_TRUE(port.service());
  EXPECT_FALSE(port.link().up);
  ASSERT_TRUE(test::configure_port(port, config()));
  ASSERT_TRUE(port.start());
  EXPECT_TRUE(port.link().up);
}

TEST_F(FunctionPort, DoesNotStartWithAQueueThatStaysOff) {
  function->queues_stay_off = true;
  Port port = opened();
  ASSERT_TRUE(test::configure_port(port, config()));
  const auto started = port.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::timeout);
  EXPECT_THAT(started.error().what, HasSubstr("TXDCTL[0].ENABLE"));
  EXPECT_EQ(pool->stats().in_use(), 0U);
}

TEST_F(FunctionPort, RestartsAQueueWithoutAReset) {
  Port port = started();
  const std::size_t resets = function->requests_of(Message::reset).size();
  ASSERT_TRUE(test::restart_rx(port, 0, {.ring = 128}));
  ASSERT_TRUE(test::restart_tx(port, 0, {.ring = 32}));
  EXPECT_EQ(function->requests_of(Message::reset).size(), resets);
  EXPECT_EQ(port.state(), PortState::started);
  EXPECT_EQ(port.config().rx[0].ring, 128U);
  EXPECT_EQ(port.config().tx[0].ring, 32U);
  EXPECT_EQ(pool->stats().in_use(), 128U);
  function->queues_stay_off = true;
  EXPECT_EQ(test::restart_rx(port, 0, {.ring = 64}).error().code, ErrorCode::timeout);
  EXPECT_EQ(port.state(), PortState::failed);
  ASSERT_TRUE(port.close());
  EXPECT_EQ(pool->stats().in_use(), 0U);
}

TEST_F(FunctionPort, FreesItsBuffersWhenTheCardWasRemoved) {
  Port port = started();
  EXPECT_GT(pool->stats().in_use(), 0U);
  function->removed = true;
  EXPECT_FALSE(port.service());
  EXPECT_TRUE(port.close());
  EXPECT_EQ(pool->stats().in_use(), 0U);
}

TEST_F(FunctionPort, CountersContinueWhenTheCardsWrap) {
  function->at<hw::igbvf::VFGPRC>() = 0xFFFF'FF00;
  function->at<hw::igbvf::VFGORC>() = 0xFFFF'0000;
  Port port = started();
  EXPECT_EQ(port.stats().rx_packets, 0U);
  function->at<hw::igbvf::VFGPRC>() = 0x100;  // 512 on
  function->at<hw::igbvf::VFGORC>() = 0x8000;
  Stats stats = port.stats();
  EXPECT_EQ(stats.rx_packets, 512U);
  EXPECT_EQ(stats.rx_bytes, 0x1'8000U - 512U * 4);
  // A reset of the card cleared them.
  function->at<hw::igbvf::VFGPRC>() = 3;
  stats = port.stats();
  EXPECT_EQ(stats.rx_packets, 512U + 3);
  ASSERT_TRUE(port.close());
  EXPECT_EQ(port.stats().rx_packets, 512U + 3);
}

}  // namespace
}  // namespace pollux::drivers::igbvf
