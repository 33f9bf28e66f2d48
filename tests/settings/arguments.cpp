// SPDX-License-Identifier: BSD-3-Clause
#include "settings/arguments.hpp"

#include <array>
#include <chrono>

#include "pollux/net/flow/match.hpp"

namespace pollux::test::settings {

MacAddress random_unicast(Random& random) {
  return {0x02, 0, 0, 0, random.below<std::uint8_t>(2), random.below<std::uint8_t>(12)};
}

MacAddress random_multicast(Random& random) {
  return {0x01, 0, 0x5E, 0, random.below<std::uint8_t>(16), random.below<std::uint8_t>(16)};
}

std::uint16_t random_vlan(Random& random) {
  return random.once_in(4) ? static_cast<std::uint16_t>(1 + random.below(4094))
                           : random.one_of(std::array<std::uint16_t, 5>{1, 2, 31, 32, 4094});
}

namespace {

std::optional<QueueThresholds> random_thresholds(Random& random) {
  if (!random.once_in(4)) return std::nullopt;
  return QueueThresholds{.prefetch = random.below<std::uint8_t>(32),
                         .host = random.below<std::uint8_t>(32),
                         .write_back = random.below<std::uint8_t>(2)};
}

}  // namespace

RxQueueConfig random_rx_queue(Random& random, const Pools& pools) {
  RxQueueConfig queue{.pool = pools.frames, .ring = random.one_of(std::array{32U, 64U, 128U})};
  if (random.once_in(4)) queue.header_pool = pools.headers;
  if (random.once_in(3)) queue.drop_enable = random.flip();
  queue.thresholds = random_thresholds(random);
  return queue;
}

TxQueueConfig random_tx_queue(Random& random) {
  return {.ring = random.one_of(std::array{32U, 64U, 128U}), .thresholds = random_thresholds(random)};
}

Settings random_config(Random& random, const Pools& pools, const Abilities& abilities) {
  constexpr std::array<std::uint16_t, 8> kQueues{1, 1, 1, 2, 3, 8, 9, 16};
  const auto random_count = [&] {
    return std::min<std::size_t>(random.one_of(kQueues), static_cast<std::size_t>(abilities.most_queues));
  };
  const RxQueueConfig rx = random_rx_queue(random, pools);
  const TxQueueConfig tx = random_tx_queue(random);
  Settings config;
  config.rx.assign(random_count(), rx);
  config.tx.assign(random.flip() ? config.rx.size() : random_count(), tx);
  config.mtu = random.flip() ? 1500 : 100 + random.below(9000);
  config.promiscuous = random.once_in(4);
  config.all_multicast = random.once_in(4);
  config.keep_fcs = random.once_in(5);
  config.keep_bad_frames = random.once_in(5);
  if (random.once_in(3)) config.packet_buffers.receive = (20 + random.below(45)) * 1024;
  if (random.once_in(3)) config.packet_buffers.transmit = (10 + random.below(31)) * 1024;
  if (random.once_in(3)) config.rx[random.below(config.rx.size())] = random_rx_queue(random, pools);
  if (random.once_in(3)) config.tx[random.below(config.tx.size())] = random_tx_queue(random);
  return config;
}

RssConfig random_rss(Random& random) {
  RssConfig rss{.types = {random.once_in(6) ? 0 : random.below(RssTypes::kAll + 1)}};
  if (random.flip()) {
    for (std::uint8_t& byte : rss.key) byte = random.below<std::uint8_t>(256);
  }
  const std::uint16_t queues = random.one_of(std::array<std::uint16_t, 4>{1, 2, 3, 8});
  if (random.flip()) {
    for (int i = 0; i < 128; ++i) rss.table.push_back(random.below<std::uint16_t>(queues));
  }
  return rss;
}

// The kinds of rule that have filters in the card: by EtherType, by address and port, for TCP SYN.
FlowRule random_rule(Random& random) {
  FlowRule rule{.action = to_queue(random.below<std::uint16_t>(4)), .priority = random.below(3)};
  const auto port = [&random] { return static_cast<std::uint16_t>(1000 + random.below(4)); };
  switch (random.below(5)) {
    case 0:
      rule.match = match::eth().type(random.one_of(std::array<std::uint16_t, 4>{0x88B5, 0x88B6, 0x88F7, 0x8906}));
      break;
    case 1: rule.match = match::tcp().flags(0x02, 0x02); break;
    case 2:
      rule.match = match::ipv4()
                       .source({10, 0, 0, 1})
                       .destination({10, 0, 0, 2})
                       .udp()
                       .source_port(port())
                       .destination_port(port());
      break;
    case 3: rule.match = match::ipv4().tcp().destination_port(port()); break;
    default: rule.match = match::ipv4().destination({10, 0, 0, random.below<std::uint8_t>(4)}).sctp(); break;
  }
  return rule;
}

FlowControlConfig random_flow_control(Random& random) {
  FlowControlConfig config{.pause = {.receive = random.flip(), .transmit = random.flip()}};
  config.autonegotiate = !random.once_in(3);
  if (random.flip()) config.pause_time = static_cast<std::uint16_t>(2 + random.below(0xFFFE));
  if (random.once_in(3)) {
    config.low_water = 16 * (1 + random.below(400));
    config.high_water = config.low_water + 16 * (1 + random.below(400));
  }
  return config;
}

LinkConfig random_link(Random& random, const Abilities& abilities) {
  LinkConfig config;
  if (abilities.whole_phy && random.once_in(4))
    config.forced =
        random.one_of(std::array{LinkMode::half_10, LinkMode::full_10, LinkMode::half_100, LinkMode::full_100});
  if (random.flip()) {
    config.advertised = {random.one_of(std::array{LinkMode::full_10, LinkMode::full_100, LinkMode::full_1000})};
    if (random.flip()) config.advertised.insert(LinkMode::half_100);
  }
  return config;
}

QueuePoolsConfig random_pools(Random& random) {
  QueuePoolsConfig config{.replication = random.flip(), .local_loopback = random.flip()};
  const unsigned count = random.below(4);
  const bool two = random.once_in(3);
  const bool vlans = random.flip();
  for (unsigned i = 0; i < count; ++i) {
    QueuePool pool{.broadcasts = random.flip(), .queues = static_cast<std::uint16_t>(two && random.flip() ? 2 : 1)};
    for (unsigned j = random.below(3); j > 0; --j)
      pool.addresses.push_back({0x02, 0, 0, 1, static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(j)});
    if (random.once_in(3)) pool.addresses.push_back({0x01, 0, 0x5E, 0, 0, static_cast<std::uint8_t>(i)});
    if (vlans && random.flip()) pool.vlans.push_back(static_cast<std::uint16_t>(1 + random.below(40)));
    pool.untagged = pool.vlans.empty() || random.flip();
    config.pools.push_back(pool);
  }
  if (random.once_in(4)) config.default_pool = {};
  if (count > 1 && random.flip()) config.default_pool = random.below<std::uint16_t>(count);
  return config;
}

VirtualFunctionConfig random_function(Random& random) {
  VirtualFunctionConfig config{.spoof_check = random.flip(), .trusted = random.flip(), .enabled = !random.once_in(4)};
  if (random.flip()) config.mac = random_unicast(random);
  if (random.flip()) config.vlan = random_vlan(random);
  if (config.vlan != 0) config.qos = random.below<std::uint8_t>(8);
  if (random.once_in(3)) config.max_rate = random.one_of(std::array{0U, 10U, 333U, 1000U});
  return config;
}

}  // namespace pollux::test::settings
