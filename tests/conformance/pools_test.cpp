// SPDX-License-Identifier: BSD-3-Clause
// Pools of receive queues: the card chooses a frame's pool by its destination and VLAN.
#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "conformance/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::conformance {
namespace {

constexpr std::uint16_t kPools = 3;
constexpr MacAddress kOutside{0x02, 0x99, 0, 0, 0, 1};

class Pools : public Conformance {
 protected:
  using Queues = std::array<std::vector<Bytes>, kPools>;

  [[nodiscard]] static MacAddress address(std::uint8_t number) { return {0x02, 0x50, 0, 0, 0, number}; }
  [[nodiscard]] static Bytes with_tag(Bytes frame, std::uint8_t vlan) {
    const Bytes tag{0x81, 0x00, 0, vlan};
    frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    return frame;
  }
  [[nodiscard]] static bool is_ours(const Bytes& frame) {
    const std::size_t at = frame.size() > 18 && frame[12] == 0x81 ? 16 : 12;
    return frame.size() > 18 && frame[at] == 0x88 && frame[at + 1] == 0xB5;
  }
  void start_with(const QueuePoolsConfig& pools) {
    ASSERT_TRUE(right().info().supports.test(Setting::pools));
    ASSERT_TRUE(right().change([&](pollux::Settings& settings) { settings.pools = pools; }));
    pollux::Settings wanted = config();
    wanted.rx.resize(kPools, wanted.rx[0]);
    wanted.tx.resize(kPools, wanted.tx[0]);
    start_both(config(), wanted);
  }
  /// Polls until `count` of the suite's frames have arrived, and then for a moment longer.
  [[nodiscard]] Queues arrived(std::size_t count) {
    Queues queues;
    std::size_t total = 0;
    for (int i = 0, after = 0; i < 2000 && after < 20; ++i) {
      for (std::uint16_t queue = 0; queue < kPools; ++queue) {
        Burst<32> burst;
        right().rx(queue).rx_burst(burst);
        for (const Mbuf& mbuf : burst) {
          if (!is_ours(content(mbuf))) continue;
          queues[queue].push_back(content(mbuf));
          ++total;
        }
        burst = {};
      }
      if (total >= count) ++after;
      pass_time();
    }
    return queues;
  }
};

CONFORMANCE_TEST_WHERE(Pools, GetTheFramesOfTheirAddresses, traits.card_receive&& traits.pools&& traits.two_ports()) {
  start_with({.pools = {{.addresses = {address(0)}},
                        {.addresses = {address(1), address(11)}},
                        {.addresses = {address(2)}, .broadcasts = false}}});
  const Bytes to_0 = make_frame(80, 1, address(0));
  const Bytes to_1 = make_frame(80, 2, address(1));
  const Bytes to_11 = make_frame(80, 3, address(11));
  const Bytes to_2 = make_frame(80, 4, address(2));
  const Bytes to_port = make_frame(80, 5, right().mac());
  const Bytes to_all = make_frame(80, 6);
  send(left(), {to_0, to_1, to_11, to_2, to_port, to_all});
  const Queues queues = arrived(7);
  EXPECT_EQ(queues[0], (std::vector<Bytes>{to_0, to_port, to_all}));
  EXPECT_EQ(queues[1], (std::vector<Bytes>{to_1, to_11, to_all})) << "a broadcast is replicated";
  EXPECT_EQ(queues[2], (std::vector<Bytes>{to_2}));
}

CONFORMANCE_TEST_WHERE(Pools, GetTheFramesOfTheirVlans, traits.card_receive&& traits.pools&& traits.two_ports()) {
  start_with({.pools = {{.addresses = {address(0)}, .vlans = {5}},
                        {.addresses = {address(1)}, .vlans = {5, 6}, .untagged = false},
                        {.addresses = {address(2)}}},
              .default_pool = std::nullopt});
  const Bytes in_5 = with_tag(make_frame(80, 1), 5);
  const Bytes in_6 = with_tag(make_frame(80, 2), 6);
  const Bytes in_7 = with_tag(make_frame(80, 3), 7);
  const Bytes plain = make_frame(80, 4);
  const Bytes to_1_in_6 = with_tag(make_frame(80, 5, address(1)), 6);
  const Bytes to_0_in_6 = with_tag(make_frame(80, 6, address(0)), 6);
  const Bytes to_1 = make_frame(80, 7, address(1));
  send(left(), {in_5, in_6, in_7, plain, to_1_in_6, to_0_in_6, to_1});
  const Queues queues = arrived(6);
  EXPECT_EQ(queues[0], (std::vector<Bytes>{in_5, plain}));
  EXPECT_EQ(queues[1], (std::vector<Bytes>{in_5, in_6, to_1_in_6}));
  EXPECT_EQ(queues[2], (std::vector<Bytes>{plain}));
}

// A tag with VLAN 0 has a priority alone, so the frame is one without a VLAN (IEEE 802.1Q).
CONFORMANCE_TEST_WHERE(Pools, GetFramesWithAPriorityAloneAsUntaggedOnes,
                       traits.card_receive&& traits.pools&& traits.two_ports()) {
  start_with({.pools = {{.addresses = {address(0)}, .vlans = {5}},
                        {.addresses = {address(1)}, .vlans = {5}, .untagged = false},
                        {.addresses = {address(2)}}},
              .default_pool = std::nullopt});
  const Bytes to_0 = with_tag(make_frame(80, 1, address(0)), 0);
  const Bytes to_1 = with_tag(make_frame(80, 2, address(1)), 0);
  const Bytes to_all = with_tag(make_frame(80, 3), 0);
  const Bytes last = with_tag(make_frame(80, 4, address(1)), 5);
  send(left(), {to_0, to_1, to_all, last});
  const Queues queues = arrived(4);
  EXPECT_EQ(queues[0], (std::vector<Bytes>{to_0, to_all}));
  EXPECT_EQ(queues[1], (std::vector<Bytes>{last}));
  EXPECT_EQ(queues[2], (std::vector<Bytes>{to_all}));
}

CONFORMANCE_TEST_WHERE(Pools, GetAllGroupsWhileThePortDoes, traits.card_receive&& traits.pools&& traits.two_ports()) {
  start_with({.pools = {{.addresses = {address(0)}}, {.addresses = {address(1)}}, {.addresses = {address(2)}}}});
  const MacAddress group{0x01, 0x00, 0x5E, 0x11, 0x22, 0x33};
  for (const bool all : {false, true, false}) {
    ASSERT_TRUE(test::set_all_multicast(right(), all));
    const Bytes to_group = make_frame(80, 1, group);
    const Bytes to_1 = make_frame(80, 2, address(1));
    send(left(), {to_group, to_1});
    const Queues queues = arrived(all ? 4 : 1);
    for (std::uint16_t pool = 0; pool < kPools; ++pool) {
      EXPECT_EQ(std::count(queues[pool].begin(), queues[pool].end(), to_group), all ? 1 : 0) << pool;
    }
  }
}

CONFORMANCE_TEST_WHERE(Pools, SendToEachOther, traits.card_receive&& traits.pools_exchange&& traits.two_ports()) {
  start_with({.pools = {{.addresses = {address(0)}}, {.addresses = {address(1)}}, {.addresses = {address(2)}}},
              .local_loopback = true});
  ASSERT_TRUE(test::set_promiscuous(left(), true));
  const Bytes inside = make_frame(80, 1, address(1));
  const Bytes outside = make_frame(80, 2, kOutside);
  send(right(), {inside, outside});  // on queue 0, which is pool 0
  const Queues queues = arrived(1);
  EXPECT_TRUE(queues[0].empty());
  EXPECT_EQ(queues[1], std::vector<Bytes>{inside});
  EXPECT_TRUE(queues[2].empty());
  // Had the first frame left the card, it would arrive first.
  EXPECT_EQ(receive(left(), 1), std::vector<Bytes>{outside});
}

class PoolsOfTwoQueues : public Pools {
 protected:
  static constexpr std::uint32_t kFlows = 24;

  struct Arrival {
    std::uint16_t queue = 0;
    std::optional<std::uint32_t> hash;
  };
  [[nodiscard]] static Bytes flow_to(const MacAddress& to, std::uint32_t number) {
    Bytes frame = make_flow(number);
    std::copy(to.begin(), to.end(), frame.begin());
    return frame;
  }
  /// Sends the flows to a pool's address. Returns where they have arrived.
  [[nodiscard]] std::map<Bytes, Arrival> arrivals(std::uint8_t pool) {
    std::vector<Bytes> frames;
    for (std::uint32_t flow = 0; flow < kFlows; ++flow) frames.push_back(flow_to(address(pool), flow));
    send(left(), frames);
    std::map<Bytes, Arrival> arrivals;
    for (int i = 0; i < 2000 && arrivals.size() < kFlows; ++i) {
      for (std::uint16_t queue = 0; queue < right().config().rx.size(); ++queue) {
        Burst<32> burst;
        right().rx(queue).rx_burst(burst);
        for (const Mbuf& mbuf : burst) arrivals[content(mbuf)] = {queue, RxMetadata(mbuf).rss_hash()};
        burst = {};
      }
      pass_time();
    }
    return arrivals;
  }
  /// Expects that the flows to pools 0 and 2 use both queues as software says, and that those to pool 1 use one.
  void expect_spread(const RssConfig& rss) {
    const packet::ToeplitzHash hash(rss.key);
    for (std::uint8_t pool = 0; pool < kPools; ++pool) {
      const auto arrived = arrivals(pool);
      EXPECT_EQ(arrived.size(), kFlows) << "pool " << int{pool};
      std::set<std::uint16_t> used;
      for (const auto& [frame, arrival] : arrived) {
        const auto expected = packet::rss_hash(hash, frame, packet::parse(frame), rss.types);
        ASSERT_TRUE(expected);
        const bool second = pool != 1 && rss.table.at(*expected % rss.table.size()) == 1;
        EXPECT_EQ(arrival.queue, pool + (second ? right().info().limits.max_pools : 0));
        EXPECT_EQ(arrival.hash, expected);
        used.insert(arrival.queue);
      }
      EXPECT_EQ(used.size(), pool == 1 ? 1U : 2U);
    }
  }
};

// QEMU's card has no RSS in pools: igb_core.c, igb_rss_enabled.
CONFORMANCE_TEST_WHERE(PoolsOfTwoQueues, SpreadFramesByRssOrAreRejected,
                       traits.card_receive&& traits.pools_of_two&& traits.two_ports()) {
  const QueuePoolsConfig wanted{.pools = {{.addresses = {address(0)}, .queues = 2},
                                          {.addresses = {address(1)}},
                                          {.addresses = {address(2)}, .queues = 2}}};
  const auto set = right().change([&](pollux::Settings& settings) { settings.pools = wanted; });
  if (!set) {
    EXPECT_NE(pair().name, "sim");
    EXPECT_EQ(set.error().code, ErrorCode::not_supported);
    EXPECT_EQ(right().settings().pools, QueuePoolsConfig()) << "a refused call changes nothing";
    return;
  }
  pollux::Settings receiver = config();
  receiver.rx.resize(static_cast<std::uint16_t>(kPools + right().info().limits.max_pools), receiver.rx[0]);
  start_both(config(), receiver);
  RssConfig other = test::rss_of(right());
  expect_spread(other);
  for (std::size_t entry = 0; entry < other.table.size(); ++entry) other.table[entry] = entry % 3 == 0 ? 1 : 0;
  ASSERT_TRUE(right().change([&](pollux::Settings& settings) { settings.rss = other; })) << "while the port is started";
  expect_spread(other);
  stop_both();
  start_again();
  expect_spread(other);
}

}  // namespace
}  // namespace pollux::conformance
