// SPDX-License-Identifier: BSD-3-Clause
// The settings of a port as text, and a port that is brought to them.
#include "pollux/net/settings_text.hpp"
#include "pollux/net/flow/match.hpp"

#include <gmock/gmock.h>

#include <string>
#include <tuple>
#include <vector>

#include "fixture.hpp"
#include "pollux/net/flow/match.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// The members of each struct. One that is added does not compile until it is named here, and then has to be changed
// below. What is not written is left out: caches.
auto members_of(const PauseModes& value) {
  const auto& [receive, transmit] = value;
  return std::tie(receive, transmit);
}
auto members_of(const FlowControlConfig& value) {
  const auto& [pause, autonegotiate, time, high, low] = value;
  return std::tie(pause, autonegotiate, time, high, low);
}
auto members_of(const RssConfig& value) {
  const auto& [key, table, types, symmetric] = value;
  return std::tie(key, table, types, symmetric);
}
auto members_of(const QueuePool& value) {
  const auto& [addresses, vlans, untagged, broadcasts, queues] = value;
  return std::tie(addresses, vlans, untagged, broadcasts, queues);
}
auto members_of(const QueuePoolsConfig& value) {
  const auto& [pools, first, replication, loopback] = value;
  return std::tie(pools, first, replication, loopback);
}
auto members_of(const PacketBuffers& value) {
  const auto& [receive, transmit] = value;
  return std::tie(receive, transmit);
}
auto members_of(const QueueThresholds& value) {
  const auto& [prefetch, host, write_back] = value;
  return std::tie(prefetch, host, write_back);
}
auto members_of(const RxQueueConfig& value) {
  const auto& [pool, cache, ring, copies, copy_pool, header_pool, drops, thresholds] = value;
  return std::tie(pool, ring, copies, copy_pool, header_pool, drops, thresholds);
}
auto members_of(const TxQueueConfig& value) {
  const auto& [cache, ring, thresholds] = value;
  return std::tie(ring, thresholds);
}
auto members_of(const LinkConfig& value) {
  const auto& [advertised, forced] = value;
  return std::tie(advertised, forced);
}
auto members_of(const InterruptModeration& value) {
  const auto& [interval, adaptive] = value;
  return std::tie(interval, adaptive);
}
auto members_of(const WakeEvents& value) {
  const auto& [magic, unicast, multicast, broadcast, link] = value;
  return std::tie(magic, unicast, multicast, broadcast, link);
}
auto members_of(const FrameStampsConfig& value) {
  const auto& [receive, transmit] = value;
  return std::tie(receive, transmit);
}
auto members_of(const VirtualFunctionConfig& value) {
  const auto& [mac, vlan, qos, max_rate, spoof_check, trusted, enabled] = value;
  return std::tie(mac, vlan, qos, max_rate, spoof_check, trusted, enabled);
}
auto members_of(const Settings& value) {
  const auto& [rx, tx, mtu, promiscuous, all_multicast, fcs, bad, bytes, buffers, tx_timeout, rx_timeout, mode, mac,
               unicast, multicast, vlans, stripping, outer, rules, functions, rss, pools, rates, pool_rates, loopback,
               flow_control, link, phy, moderation, wake, led, stamps, clock] = value;
  return std::tie(rx, tx, mtu, promiscuous, all_multicast, fcs, bad, bytes, buffers, tx_timeout, rx_timeout, mode, mac,
                  unicast, multicast, vlans, stripping, outer, rules, functions, rss, pools, rates, pool_rates,
                  loopback, flow_control, link, phy, moderation, wake, led, stamps, clock);
}

template <class T>
concept HasMembers = requires(const T& value) {
  members_of(value);
};

template <class T>
void expect_changed(const T& value, const T& plain, const std::string& where) {
  EXPECT_NE(value, plain) << where;
  if constexpr (HasMembers<T>) {
    const auto all = members_of(value), plains = members_of(plain);
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (expect_changed(std::get<I>(all), std::get<I>(plains), where + " " + std::to_string(I)), ...);
    }
    (std::make_index_sequence<std::tuple_size_v<decltype(all)>>());
  } else if constexpr (requires { requires HasMembers<typename T::mapped_type>; }) {
    if (!value.empty()) expect_changed(value.begin()->second, typename T::mapped_type{}, where);
  } else if constexpr (requires { requires HasMembers<typename T::value_type>; }) {
    const auto first = [&]() -> const auto& {  // of an optional or a list
      if constexpr (requires { value.front(); }) {
        return value.front();
      } else {
        return *value;
      }
    };
    if (value != T{}) expect_changed(first(), typename T::value_type{}, where);
  }
}

/// Settings in which nothing has its default value. No port could have all of them.
Settings all_changed(const Mempool& pool) {
  Settings settings;
  settings.rx = {{.pool = pool,
                  .ring = 64,
                  .copy_break = 256,
                  .copy_pool = pool,
                  .header_pool = pool,
                  .drop_enable = true,
                  .thresholds = QueueThresholds{8, 4, 1}},
                 {.ring = 128}};
  settings.tx = {{.ring = 32, .thresholds = QueueThresholds{1, 2, 3}}};
  settings.keep_fcs = settings.keep_bad_frames = settings.count_bytes = true;
  settings.packet_buffers = {32768, 16384};
  settings.tx_timeout = 7s;
  settings.rx_timeout = 9s;
  settings.burst_mode = BurstMode::scalar;
  settings.mac = MacAddress{2, 0, 0, 0, 0, 0xFE};
  settings.mtu = 9000;
  settings.promiscuous = settings.all_multicast = settings.vlan_stripping = true;
  settings.unicast = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
  settings.multicast = {{1, 0, 0x5E, 0, 0, 1}};
  settings.vlans = VlanSet(1).set(7).set(4095);
  settings.outer_vlan_type = 0x88A8;
  settings.rules = {{FlowRuleId{7}, FlowRule(match::eth().type(0x88B5), to_queue(3))}};
  settings.functions = {{MacAddress{2, 0, 0, 0, 0, 4}, 9, 5, 100, false, true, false}};
  settings.rss = RssConfig{packet::kSymmetricRssKey, std::vector<std::uint16_t>(128, 3), {RssTypes::kAll}, true};
  settings.pools = {{{{{2, 0, 0, 0, 0, 3}}, {5, 6}, false, false, 2}}, std::nullopt, false, true};
  settings.tx_rates = {{0, 100}, {15, 1000}};
  settings.pool_tx_rates = {{3, 10}};
  settings.loopback = LoopbackMode::phy;
  settings.flow_control = {{true, true}, false, 100, 4096, 1024};
  settings.link = {{LinkMode::full_100, LinkMode::full_1000}, LinkMode::half_10};
  settings.phy_enabled = false;
  settings.moderation = {{2, {50us, true}}};
  settings.wake = {true, true, true, true, true};
  settings.led = LedMode::blink;
  settings.stamps = {StampedMessages::ptp2, true};
  settings.clock_frequency = -12.5;
  return settings;
}

Result<Settings> parsed(const Settings& settings, std::span<const Mempool> pools) {
  return parse_settings(settings_text(settings), pools);
}

TEST(SettingsText, IsReadAsTheSettingsThatWereWritten) {
  CardFixture fixture;
  const std::vector<Mempool> pools{fixture.pool};
  const Settings changed = all_changed(fixture.pool);
  expect_changed(changed, Settings{}, "settings");
  const auto read = parsed(changed, pools);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(*read, changed) << settings_text(*read);
  EXPECT_EQ(*parsed(Settings{}, {}), Settings{});
  EXPECT_EQ(*parse_settings("{}"), Settings{}) << "what is left out has its default";
}

// The enumerators of Setting are counted by hand, and named by their places among the members.
TEST(SettingsText, HasTheMembersOfSettingInTheirOrder) {
  const Json json = Json::parse(settings_text(Settings{}));
  ASSERT_EQ(json.size(), kSettings);
  std::size_t index = 0;
  for (const auto& [name, value] : json.items()) EXPECT_EQ(to_string(Setting(index++)), name);
  EXPECT_EQ(to_string(Setting::clock_frequency), "clock_frequency") << "the last one";
  EXPECT_EQ(to_string(Setting::vlan_stripping), "vlan_stripping");
  EXPECT_EQ(to_string(Setting(kSettings)), "") << "not a setting";
}

TEST(SettingsText, HasAllVlansAndAsManyAddressesAsACardTakes) {
  Settings full;
  full.vlans = VlanSet().set();
  for (std::size_t i = 0; i < full.vlans->size(); ++i)
    full.multicast.push_back({1, 0, 0x5E, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)});
  const auto read = parsed(full, {});
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(*read, full);
}

TEST(SettingsText, IsThatOfTheTelemetry) {
  TelemetryFixture fixture;
  ASSERT_TRUE(set_mtu(fixture.port, 1300));
  EXPECT_EQ(fixture.client().result("port.settings", {{"port", "plx0"}})["settings"],
            Json::parse(settings_text(fixture.port.settings())));
}

TEST(SettingsText, NamesTheMemberThatIsWrong) {
  const std::vector<std::pair<const char*, const char*>> wrong{
      {"", "not JSON"},
      {"[]", "settings: this is not an object"},
      {R"({"mtu":"big"})", "'mtu' is not a whole number from 0 to 4294967295"},
      {R"({"mtu":-1})", "'mtu' is not a whole number"},
      {R"({"mtu":1.5})", "'mtu' is not a whole number"},
      {R"({"mtu":4294967296})", "'mtu' is not a whole number"},
      {R"({"mtu":null})", "'mtu' is not a whole number"},
      {R"({"MTU":1500})", "there is no member 'MTU'"},
      {R"({"promiscuous":1})", "'promiscuous' is not true or false"},
      {R"({"mac":"02-00-00-00-00-01"})", "'mac' is not an address such as"},
      {R"({"unicast":{"02:00:00:00:00:01":true,"x":true}})", "'unicast' is not an object such as"},
      {R"({"unicast":{"02:00:00:00:00:01":false}})", "'unicast' is not an object such as"},
      {R"({"unicast":[]})", "'unicast' is not an object such as"},
      {R"({"rules":{"7":{"match":[{"protocol":"x"}]}}})", "'rules.7': the member 'protocol'"},
      {R"({"rx":[{"ring":64},{"ring":65,"size":1}]})", "there is no member 'rx[1].size'"},
      {R"({"rx":[{"pool":"frames"}]})", "'rx[0].pool': there is no pool 'frames'"},
      {R"({"rx":[{"pool":3}]})", "'rx[0].pool' is not the name of a pool or null"},
      {R"({"vlans":{"4096":true}})", "'vlans' is not an object of numbers from 0 to 4095"},
      {R"({"rss":{"types":["ipv5"]}})", "'rss.types' is not a list of types"},
      {R"({"rss":{"key":"00"}})", "'rss.key' is not a key: 40 bytes"},
      {R"({"pools":{"pools":[{"vlans":[70000]}]}})", "'pools.pools[0].vlans[0]' is not a whole number"},
      {R"({"tx_rates":{"zero":1}})", "'zero' in 'tx_rates' is not an index"},
      {R"({"tx_rates":{"70000":1}})", "is not an index"},
      {R"({"tx_rates":{"0":[]}})", "'tx_rates.0' is not a whole number"},
      {R"({"tx_timeout_ns":1e99})", "'tx_timeout_ns' is not a whole number of nanoseconds"},
      {R"({"loopback":"moon"})", "'loopback' is not one of none, mac, phy"},
  };
  for (const auto& [text, what] : wrong) {
    const auto read = parse_settings(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, ErrorCode::invalid_argument) << text;
    EXPECT_THAT(read.error().what, HasSubstr(what)) << text;
    EXPECT_FALSE(read.error().hint.empty()) << text;
  }
}

TEST(SettingsText, SaysWhichOfTwoPoolsCannotBeTold) {
  CardFixture fixture;
  const std::vector<Mempool> pools{fixture.pool, fixture.pool};
  const auto read = parsed(fixture.port.settings(), pools);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().what, HasSubstr("two pools are named 'mempool'"));
}

struct RestoreTest : testing::Test {
  RestoreTest() : other({.start = false}) {}
  /// The port takes the plain settings, and refuses by `name` those that `set` has changed.
  void expect_refused(const std::string& uri, void (*set)(Settings&), const std::string& name) {
    auto port = open_unconfigured(other.context, uri);
    ASSERT_TRUE(port) << port.error().message();
    Settings plain;
    plain.rx = {{.ring = 64}};
    Settings wanted = plain;
    set(wanted);
    const auto restored = port->change([&](Settings& now) { now = wanted; });
    ASSERT_FALSE(restored);
    EXPECT_EQ(restored.error().code, ErrorCode::not_supported);
    EXPECT_THAT(restored.error().what, HasSubstr(name));
    EXPECT_TRUE(port->change([&](Settings& now) { now = plain; }));
  }
  CardFixture fixture;
  CardFixture other;
};

TEST_F(RestoreTest, APortHasTheSettingsOfAnother) {
  ASSERT_TRUE(set_mtu(fixture.port, 1300));
  ASSERT_TRUE(set_mac(fixture.port, {2, 0, 0, 0, 0, 7}));
  ASSERT_TRUE(fixture.port.change(test::with_vlan(7)));
  ASSERT_TRUE(fixture.port.change([](Settings& settings) { settings.tx_rates[0] = 100; }));
  const Settings saved = fixture.port.settings();
  const std::vector<Mempool> pools{other.pool};
  const auto read = parsed(saved, pools);
  ASSERT_TRUE(read) << read.error().message();
  const auto restored = other.port.change([&](Settings& now) { now = *read; });
  ASSERT_TRUE(restored) << restored.error().message();
  EXPECT_EQ(settings_text(other.port.settings()), settings_text(saved));
  EXPECT_TRUE(other.port.start());
  EXPECT_TRUE(other.port.change([&](Settings& now) { now = *read; })) << "nothing differs";
  const auto refused = other.port.change([](Settings& now) { now.rx.resize(2); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::bad_state);
}

TEST_F(RestoreTest, QueuesWithoutAPoolGetOneOfThePort) {
  CardFixture first({.start = false});
  ASSERT_TRUE(configure_port(first.port, {.rx = {2, {.ring = 64}}}));
  const auto read = parsed(first.port.settings(), {});
  ASSERT_TRUE(read) << read.error().message();
  ASSERT_TRUE(other.port.change([&](Settings& now) { now = *read; }));
  EXPECT_EQ(other.port.rx_pool(1)->options(), first.port.rx_pool(1)->options());
  EXPECT_TRUE(other.port.start());
}

TEST_F(RestoreTest, RefusesWhatThePortCannotHaveAndChangesNothing) {
  const Settings before = other.port.settings();
  const auto refused = [&](void (*change)(Settings&)) {
    Settings wanted;
    wanted.rx = {{.ring = 64}};
    wanted.tx = {{.ring = 64}};
    change(wanted);
    const auto restored = other.port.change([&](Settings& now) { now = wanted; });
    EXPECT_FALSE(restored);
    EXPECT_EQ(other.port.settings(), before);
    EXPECT_EQ(other.port.state(), PortState::opened);
    return restored ? std::string() : restored.error().what;
  };
  EXPECT_THAT(refused([](Settings& wanted) { wanted.rx[0].ring = 63; }), HasSubstr("rx[0].ring = 63"));
  EXPECT_THAT(refused([](Settings& wanted) { wanted.mtu = 70000; }), HasSubstr("mtu = 70000"));
  EXPECT_THAT(refused([](Settings& wanted) { wanted.mac = MacAddress{1}; }), HasSubstr("cannot be a port's address"));
  EXPECT_THAT(refused([](Settings& wanted) { wanted.tx_rates = {{16, 10}}; }), HasSubstr("rate limit"));
  EXPECT_THAT(refused([](Settings& wanted) { wanted.pool_tx_rates = {{0, 10}}; }), HasSubstr("there is no such pool"));
  EXPECT_THAT(refused([](Settings& wanted) { wanted.rss = RssConfig{.table = {9}}; }), HasSubstr("RSS table"));
  EXPECT_THAT(refused([](Settings& wanted) { wanted.flow_control.low_water = 3; }), HasSubstr("water"));
}

// A software port must not keep what it never does.
TEST_F(RestoreTest, RefusesASettingThatThePortLacks) {
  expect_refused(
      "null:", [](Settings& wanted) { wanted.vlans = VlanSet(1); }, "vlans");
}

}  // namespace
}  // namespace pollux::test
