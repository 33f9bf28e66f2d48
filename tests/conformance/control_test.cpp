// SPDX-License-Identifier: BSD-3-Clause
// Properties and settings of a port: addresses, MTU, link, queues, counters.
#include <algorithm>
#include <map>
#include <set>

#include "conformance/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::conformance {
namespace {

constexpr MacAddress kStranger{0x02, 0, 0, 0, 0, 0x77};
constexpr MacAddress kGroup{0x01, 0x00, 0x5E, 0x01, 0x02, 0x03};

class Control : public Conformance {};

CONFORMANCE_TEST(Control, DescribesItself) {
  for (Port* port : {&left(), &right()}) {
    const PortInfo& info = port->info();
    EXPECT_FALSE(info.name.empty());
    EXPECT_FALSE(info.driver.empty());
    EXPECT_FALSE(info.card.empty());
    EXPECT_FALSE(info.backend.empty());
    EXPECT_GE(info.limits.max_rx_queues, 1);
    EXPECT_GE(info.limits.max_tx_queues, 1);
    EXPECT_LE(info.limits.min_ring, info.limits.max_ring);
    EXPECT_LE(info.limits.min_mtu, 1280U);
    EXPECT_GE(info.limits.max_mtu, 9000U);
    EXPECT_GE(info.limits.max_tx_segments, 1U);
    // The traits decide which cases run, so they must be correct.
    EXPECT_EQ(static_cast<bool>(port->capability<RegisterDump>()), traits().registers != 0);
    EXPECT_EQ(info.limits.max_rx_queues > 1 && info.limits.max_tx_queues > 1,
              traits().several_queues || traits().two_queues);
    EXPECT_EQ(info.supports.test(Setting::promiscuous), traits().promiscuous);
  }
  if (traits().two_ports()) {
    EXPECT_NE(left().info().index, right().info().index);
    EXPECT_NE(left().mac(), right().mac());
  }
  EXPECT_EQ(left().mac()[0] & 1, 0);
}

CONFORMANCE_TEST_WHERE(Control, ReturnsTheConfigurationInForce, traits.two_ports()) {
  EXPECT_TRUE(right().config().rx.empty());
  EXPECT_TRUE(right().config().tx.empty());
  pollux::Settings wanted = config();
  wanted.tx[0].ring = 128;
  wanted.promiscuous = traits().promiscuous;
  wanted.burst_mode = BurstMode::scalar;
  start_both(config(), wanted);
  const bool drops = right().info().limits.drop_enable == DropChoice::always;
  const EffectiveConfig expected{
      .rx = {{.ring = 64, .buffer_bytes = 2048, .pool = "conformance", .given_cache = true, .drops = drops}},
      .tx = {{.ring = 128, .given_cache = true}},
      .burst_mode = BurstMode::scalar};
  const auto expect = [&](std::uint32_t mtu, bool promiscuous, bool all_multicast) {
    const pollux::Settings settings = right().settings();
    EXPECT_EQ(settings.mtu, mtu);
    EXPECT_EQ(settings.promiscuous, promiscuous);
    EXPECT_EQ(settings.all_multicast, all_multicast);
    EXPECT_EQ(settings.tx_timeout, std::chrono::seconds(5));
    EXPECT_EQ(settings.rx_timeout, std::chrono::seconds(5));
    EXPECT_EQ(right().config(), expected);
  };
  expect(1500, traits().promiscuous, false);
  EXPECT_NE(left().config().burst_mode, BurstMode::best);
  ASSERT_TRUE(test::set_mtu(right(), 1600));
  ASSERT_TRUE(test::set_promiscuous(right(), false));
  ASSERT_TRUE(test::set_all_multicast(right(), true));
  EXPECT_FALSE(test::set_mtu(right(), 1));
  expect(1600, false, true);
  ASSERT_TRUE(right().stop());
  expect(1600, false, true);
  pollux::Settings refused = config();
  refused.rx[0].ring = 65;
  EXPECT_FALSE(test::configure_port(right(), refused));
  expect(1600, false, true);  // a rejected configuration must change nothing
  ASSERT_TRUE(test::configure_port(right(), {.rx = {}, .tx = {{.ring = 64}}}));
  EXPECT_EQ(right().config(), (EffectiveConfig{.tx = {{.ring = 64}}, .burst_mode = best_of(BurstMode::best)}));
  EXPECT_EQ(right().settings().mtu, 1500U);
  ASSERT_TRUE(right().close());
  EXPECT_TRUE(right().config().tx.empty());
}

CONFORMANCE_TEST_WHERE(Control, FiltersByDestination, traits.filters) {
  start_both();
  const Bytes own = make_frame(60, 1, right().mac());
  const Bytes broadcast = make_frame(60, 2);
  const Bytes other = make_frame(60, 3, kStranger);
  const Bytes group = make_frame(60, 4, kGroup);
  using Frames = std::vector<Bytes>;
  const auto expect_received = [&](const Frames& expected, const char* when) {
    send(left(), {own, other, group, broadcast});
    EXPECT_EQ(receive(right(), expected.size()), expected) << when;
    expect_silence(right());
  };
  expect_received({own, broadcast}, "by default");
  receive_multicast(right(), kGroup, true);
  expect_received({own, group, broadcast}, "with multicast");
  if (traits().promiscuous) {
    ASSERT_TRUE(test::set_promiscuous(right(), true));
    expect_received({own, other, group, broadcast}, "promiscuous");
    receive_multicast(right(), kGroup, false);
    expect_received({own, other, group, broadcast}, "promiscuous");
    ASSERT_TRUE(test::set_promiscuous(right(), false));
  } else {
    receive_multicast(right(), kGroup, false);
  }
  expect_received({own, broadcast}, "as before");
}

CONFORMANCE_TEST_WHERE(Control, ReceivesFurtherAddresses, traits.card_receive) {
  start_both();
  ASSERT_TRUE(right().info().supports.test(Setting::unicast));
  ASSERT_TRUE(right().info().supports.test(Setting::multicast));
  constexpr MacAddress kThird{0x02, 0, 0, 0, 0, 0x78};
  const Bytes own = make_frame(60, 1, right().mac());
  const Bytes further = make_frame(60, 2, kStranger);
  const Bytes other = make_frame(60, 3, kThird);
  const Bytes group = make_frame(60, 4, kGroup);
  const auto expect_received = [&](const std::vector<Bytes>& expected, const char* when) {
    send(left(), {own, further, other, group});
    EXPECT_EQ(receive(right(), expected.size()), expected) << when;
    expect_silence(right());
  };
  expect_received({own}, "by default");
  ASSERT_TRUE(right().change([&](pollux::Settings& settings) { settings.unicast = std::vector{kStranger}; }));
  ASSERT_TRUE(right().change([&](pollux::Settings& settings) { settings.multicast = std::vector{kGroup}; }));
  expect_received({own, further, group}, "one address and one group");
  std::vector<MacAddress> many(40, kGroup);  // more than the card compares, so that they pass by their hash
  for (std::uint8_t i = 1; i < many.size(); ++i) many[i][3] = i;
  ASSERT_TRUE(right().change([&](pollux::Settings& settings) { settings.multicast = many; }));
  expect_received({own, further, group}, "many groups");
  ASSERT_TRUE(right().stop());
  ASSERT_TRUE(right().start());
  wait_for_links();
  expect_received({own, further, group}, "after a restart");
  ASSERT_TRUE(right().change([](pollux::Settings& settings) { settings.unicast = {}; }));
  ASSERT_TRUE(right().change([](pollux::Settings& settings) { settings.multicast = {}; }));
  expect_received({own}, "none again");
}

CONFORMANCE_TEST_WHERE(Control, RejectsPromiscuousModeIfItHasNone, !traits.promiscuous) {
  for (Port* port : {&left(), &right()}) EXPECT_FALSE(port->info().supports.test(Setting::promiscuous));
  pollux::Settings wanted = config();
  wanted.promiscuous = true;
  const auto configured = test::configure_port(left(), wanted);
  ASSERT_FALSE(configured);
  EXPECT_EQ(configured.error().code, ErrorCode::not_supported);
  start_both();
  const auto set = test::set_promiscuous(right(), true);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, ErrorCode::not_supported);
  send(left(), {make_frame(60, 1, kStranger), make_frame(60, 2)});
  EXPECT_EQ(receive(right(), 1), std::vector<Bytes>{make_frame(60, 2)});
  EXPECT_TRUE(test::set_promiscuous(right(), false));
}

CONFORMANCE_TEST_WHERE(Control, ReceivesWhateverTheDestinationWithoutAFilter, !traits.filters && traits.delivers) {
  start_both();
  EXPECT_EQ(exchange(left(), right(), {make_frame(60, 1, kStranger), make_frame(60, 2, kGroup)}).size(), 2U);
  EXPECT_TRUE(test::set_promiscuous(right(), true));
  EXPECT_TRUE(test::set_promiscuous(right(), false));
}

CONFORMANCE_TEST(Control, ChangesItsAddress) {
  for (const MacAddress& bad : {kGroup, MacAddress{}, kBroadcast}) {
    const MacAddress before = right().mac();
    const auto refused = test::set_mac(right(), bad);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(right().mac(), before);
  }
  start_both();
  const MacAddress before = right().mac();
  ASSERT_TRUE(test::set_mac(right(), kStranger));
  EXPECT_EQ(right().mac(), kStranger);
  if (traits().filters) {
    send(left(), {make_frame(60, 1, before), make_frame(60, 2, kStranger)});
    EXPECT_EQ(receive(right(), 1), std::vector<Bytes>{make_frame(60, 2, kStranger)});
    // The address survives stop and start.
    ASSERT_TRUE(right().stop());
    ASSERT_TRUE(right().start());
    wait_for_links();
    send(left(), {make_frame(60, 3, kStranger)});
    EXPECT_EQ(receive(right(), 1), std::vector<Bytes>{make_frame(60, 3, kStranger)});
  }
}

CONFORMANCE_TEST_WHERE(Control, EnforcesItsMtu, traits.two_ports()) {
  start_both();
  EXPECT_EQ(right().settings().mtu, 1500U);
  const PortLimits limits = right().info().limits;
  for (const std::uint32_t bad : {limits.min_mtu - 1, limits.max_mtu + 1, 0U}) {
    const auto refused = test::set_mtu(right(), bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument) << bad;
  }
  EXPECT_EQ(right().settings().mtu, 1500U);
  if (traits().delivers && !traits().by_file) {
    if (left().settings().mtu < 3000) {
      ASSERT_TRUE(test::set_mtu(left(), 3000));
    }
    // The longest frame includes a VLAN tag. The kernel between two TAP ports accepts that length only with a tag.
    const std::uint32_t headers = traits().needs_relay ? 14 : 18;
    const auto longest = [&](std::uint32_t mtu, std::uint32_t number) { return make_frame(mtu + headers, number); };
    send(left(), {longest(1500, 1), make_frame(1519, 2), make_frame(60, 3)});
    EXPECT_EQ(receive(right(), 2), (std::vector<Bytes>{longest(1500, 1), make_frame(60, 3)}));
    ASSERT_TRUE(test::set_mtu(right(), 2000));
    EXPECT_EQ(right().settings().mtu, 2000U);
    send(left(), {longest(2000, 4)});
    EXPECT_EQ(receive(right(), 1), std::vector<Bytes>{longest(2000, 4)});
    ASSERT_TRUE(test::set_mtu(right(), 1000));
    send(left(), {make_frame(1500, 5), longest(1000, 6)});
    EXPECT_EQ(receive(right(), 1), std::vector<Bytes>{longest(1000, 6)});
  }
}

CONFORMANCE_TEST(Control, ReportsItsLink) {
  start_both();
  for (Port* port : {&left(), &right()}) {
    const Link link = port->link();
    EXPECT_TRUE(link.up);
    EXPECT_GE(link.speed, 10U);
    EXPECT_EQ(link.duplex, Duplex::full);
  }
  ASSERT_TRUE(left().stop());
  ASSERT_TRUE(left().start());
  EXPECT_TRUE(left().wait_for_link(std::chrono::seconds(10)));
}

CONFORMANCE_TEST_WHERE(Control, SendsAndReceivesOnSeveralQueues, traits.delivers&& traits.several_queues) {
  const auto queues =
      std::min<std::uint16_t>(4, std::min({left().info().limits.max_tx_queues, right().info().limits.max_rx_queues}));
  ASSERT_GE(queues, 2);
  pollux::Settings several = config();
  several.rx.resize(queues, several.rx[0]);
  several.tx.resize(queues, several.tx[0]);
  start_both(several, several);
  EXPECT_EQ(left().rx_queue(queues), nullptr);
  EXPECT_EQ(left().tx_queue(queues), nullptr);
  std::uint32_t sent = 0;
  for (std::uint16_t queue = 0; queue < queues; ++queue) {
    Burst<8> burst;
    for (int i = 0; i < 8; ++i) {
      MbufPtr mbuf = make_mbuf(make_frame(80, sent++));
      ASSERT_TRUE(burst.push(mbuf));
    }
    EXPECT_EQ(left().tx(queue).tx_burst(burst), 8U) << queue;
  }
  // There is no order between frames of different queues.
  const std::vector<Bytes> arrived = receive(right(), sent);
  EXPECT_EQ(arrived.size(), sent);
  for (std::uint32_t number = 0; number < sent; ++number) {
    EXPECT_EQ(std::count(arrived.begin(), arrived.end(), make_frame(80, number)), 1) << number;
  }
  for (std::uint16_t queue = 0; queue < queues; ++queue) {
    for (int i = 0; i < 1000 && left().tx(queue).in_flight() != 0; ++i) {
      left().tx(queue).tx_done_cleanup();
      pass_time();
    }
    EXPECT_EQ(left().tx(queue).in_flight(), 0U);
  }
}

CONFORMANCE_TEST(Control, RequestsServiceAtReasonableIntervals) {
  start_both();
  for (Port* port : {&left(), &right()}) {
    const auto due = port->service();
    ASSERT_TRUE(due) << due.error().message();
    EXPECT_GE(*due, std::chrono::milliseconds(1));
    EXPECT_LE(*due, std::chrono::minutes(10));
  }
}

CONFORMANCE_TEST_WHERE(Control, NamesEachCounterOnce, traits.two_ports()) {
  start_both();
  if (traits().delivers) static_cast<void>(exchange(left(), right(), make_frames(64, 60)));
  for (Port* port : {&left(), &right()}) {
    std::map<std::string, std::uint64_t> values;
    for (const Counter& counter : port->extended_stats()) {
      EXPECT_FALSE(counter.name.empty());
      EXPECT_TRUE(values.emplace(counter.name, counter.value).second) << counter.name << " appears twice";
    }
    const Stats stats = port->stats();
    for (const Counter& drop : stats.drops) {
      EXPECT_TRUE(drop.name.starts_with("rx_") || drop.name.starts_with("tx_")) << drop.name;
      ASSERT_TRUE(values.contains(drop.name)) << drop.name;
      EXPECT_EQ(values[drop.name], drop.value) << drop.name;
    }
    EXPECT_EQ(values["rx_burst_packets"], stats.rx_burst_packets);
    EXPECT_EQ(values["tx_burst_packets"], stats.tx_burst_packets);
    for (const char* const name :
         {"rx_packets",       "tx_packets",        "rx_bytes",          "tx_bytes",       "rx_errors",
          "tx_errors",        "rx_dropped",        "tx_dropped",        "multicast",      "collisions",
          "rx_missed_errors", "rx_length_errors",  "rx_over_errors",    "rx_crc_errors",  "rx_frame_errors",
          "rx_fifo_errors",   "tx_aborted_errors", "tx_carrier_errors", "tx_fifo_errors", "tx_heartbeat_errors",
          "tx_window_errors"}) {
      EXPECT_TRUE(values.contains(name)) << name << " of rtnl_link_stats64 is missing";
    }
    // No counter decreases, and neither reading nor stopping resets one.
    ASSERT_TRUE(port->stop());
    for (const Counter& counter : port->extended_stats()) {
      EXPECT_GE(counter.value, values[counter.name]) << counter.name;
    }
  }
}

CONFORMANCE_TEST(Control, CountsPacketsAndDropsOfEachQueue) {
  const std::uint16_t queues =
      std::min({std::uint16_t{2}, left().info().limits.max_tx_queues, right().info().limits.max_rx_queues});
  pollux::Settings both = config();
  both.rx.resize(std::min(queues, left().info().limits.max_rx_queues), both.rx[0]);
  both.tx.resize(queues, both.tx[0]);
  start_both(both, both);
  // Only the last queue rejects a frame, because of its length.
  MbufPtr runt = make_mbuf(make_frame(22, 0));
  ASSERT_TRUE(runt->trim(12));
  Burst<1> burst;
  ASSERT_TRUE(burst.push(runt));
  ASSERT_EQ(left().tx(static_cast<std::uint16_t>(queues - 1)).tx_burst(burst), 1U);
  send(left(), make_frames(10, 60));
  if (traits().delivers) static_cast<void>(receive(right(), 10));
  for (Port* port : {&left(), &right()}) {
    const Stats stats = port->stats();
    std::map<std::string, std::uint64_t> values;
    for (const Counter& counter : port->extended_stats()) values.emplace(counter.name, counter.value);
    std::uint64_t packets = 0;
    std::uint64_t drops = 0;
    ASSERT_EQ(stats.tx_queues.size(), queues);
    for (std::size_t i = 0; i < stats.tx_queues.size(); ++i) {
      packets += stats.tx_queues[i].packets;
      drops += stats.tx_queues[i].drops;
      EXPECT_EQ(values.at("tx_queue_" + std::to_string(i) + "_packets"), stats.tx_queues[i].packets);
      EXPECT_EQ(values.at("tx_queue_" + std::to_string(i) + "_drops"), stats.tx_queues[i].drops);
    }
    EXPECT_EQ(packets, stats.tx_burst_packets);
    EXPECT_EQ(drops, stats.tx_dropped);
    packets = drops = 0;
    ASSERT_EQ(stats.rx_queues.size(), both.rx.size());
    for (std::size_t i = 0; i < stats.rx_queues.size(); ++i) {
      packets += stats.rx_queues[i].packets;
      drops += stats.rx_queues[i].drops;
      EXPECT_EQ(values.at("rx_queue_" + std::to_string(i) + "_packets"), stats.rx_queues[i].packets);
      EXPECT_EQ(values.at("rx_queue_" + std::to_string(i) + "_drops"), stats.rx_queues[i].drops);
    }
    EXPECT_EQ(packets, stats.rx_burst_packets);
    EXPECT_EQ(drops, stats.rx_dropped);
    EXPECT_EQ(stats.rx_dropped + stats.tx_dropped, stats.dropped());
  }
  const Stats sent = left().stats();
  EXPECT_EQ(sent.tx_queues.back().drops, 1U);
  EXPECT_EQ(sent.tx_queues.front().packets, queues == 1 ? 11U : 10U);
}

CONFORMANCE_TEST_WHERE(Control, DumpsItsRegistersWithoutChangingThem, traits.registers != 0) {
  start_both();
  std::set<std::string> names;
  const std::vector<RegisterValue> registers = left().capability<RegisterDump>()->registers();
  EXPECT_GT(registers.size(), traits().registers);
  for (const RegisterValue& value : registers) EXPECT_TRUE(names.insert(value.name).second) << value.name;
  expect_exchange(make_frames(16, 60));
  // If the dump read a clear-on-read counter, the port's statistics would miss its value.
  const std::uint64_t sent = left().stats().tx_packets;
  EXPECT_EQ(exchange(left(), right(), make_frames(16, 60)).size(), 16U);
  static_cast<void>(left().capability<RegisterDump>()->registers());
  EXPECT_EQ(left().stats().tx_packets, sent + 16);
}

}  // namespace
}  // namespace pollux::conformance
