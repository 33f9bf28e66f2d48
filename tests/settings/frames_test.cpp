// SPDX-License-Identifier: BSD-3-Clause
// Frames with random headers meet ports with random settings: each is delivered, to the right queue and with the right
// tag, or dropped and counted, as the settings mean.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "pollux/mem/burst.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "pollux/net/stats.hpp"
#include "settings/arguments.hpp"
#include "settings/fate.hpp"
#include "settings/sim_port.hpp"

namespace pollux::test::settings {
namespace {

constexpr std::uint64_t kSettings = 500;
constexpr unsigned kFrames = 40;  // for each

FlowRule numbered_rule(Random& random, std::uint32_t priority, std::uint16_t queues) {
  FlowRule rule = random_rule(random);
  rule.priority = priority;  // of their own, since a card decides by EtherType first
  rule.action.queue = random.below<std::uint16_t>(queues);
  return rule;
}

Asked random_settings(Random& random, const Pools& pools) {
  Asked asked{.config = Settings{.rx = {{.pool = pools.frames, .ring = 64}}, .tx = {{.ring = 64}}}};
  Settings& config = *asked.config;
  const auto queues = random.one_of(std::array<std::uint16_t, 4>{1, 2, 4, 8});
  config.rx.resize(queues, config.rx[0]);
  config.mtu = random.flip() ? 1500 : 200 + random.below(3000);
  config.promiscuous = random.once_in(4);
  config.all_multicast = random.once_in(4);
  config.keep_fcs = random.once_in(4);
  if (random.flip()) asked.mac = random_unicast(random);
  for (unsigned i = random.below(4); i > 0; --i) {
    const MacAddress address = random_unicast(random);
    if (std::find(asked.unicast.begin(), asked.unicast.end(), address) == asked.unicast.end())
      asked.unicast.push_back(address);
  }
  for (unsigned i = random.below(random.once_in(3) ? 60 : 5); i > 0; --i)
    asked.multicast.push_back(random_multicast(random));
  if (random.flip()) {
    asked.vlans.emplace();
    for (unsigned i = random.below(5); i > 0; --i) asked.vlans->insert(random_vlan(random));
  }
  asked.strip_tags = random.flip();
  if (queues > 1 && random.flip()) {
    asked.rss = random_rss(random);
    for (std::uint16_t& queue : asked.rss->table) queue = static_cast<std::uint16_t>(queue % queues);
  }
  if (random.flip()) {
    for (std::uint32_t i = random.below(4); i > 0; --i)
      asked.rules.emplace_back(FlowRuleId{}, numbered_rule(random, i, queues));
  }
  if (random.once_in(3)) asked.loopback = random.flip() ? LoopbackMode::mac : LoopbackMode::phy;
  return asked;
}

/// A frame as a program receives it.
struct Received {
  std::uint16_t queue;
  std::vector<std::byte> bytes;
  std::optional<std::uint16_t> tag;
};

std::vector<Received> receive_all(Port& port, std::uint16_t queues) {
  std::vector<Received> frames;
  for (std::uint16_t queue = 0; queue < queues; ++queue) {
    Burst<32> burst;
    port.rx(queue).rx_burst(burst);
    for (Mbuf& mbuf : burst) {
      Received frame{
          .queue = queue, .bytes = std::vector<std::byte>(mbuf.packet_length()), .tag = RxMetadata(mbuf).vlan()};
      static_cast<void>(mbuf.copy_out(0, {reinterpret_cast<std::uint8_t*>(frame.bytes.data()), frame.bytes.size()}));
      frames.push_back(std::move(frame));
    }
  }
  return frames;
}

std::string transmit(Port& port, const Pools& pools, const std::vector<std::byte>& frame) {
  MempoolCache cache(pools.frames);
  MbufPtr whole;
  for (std::size_t at = 0; at < frame.size(); at += 2000) {
    const std::size_t count = std::min<std::size_t>(2000, frame.size() - at);
    MbufPtr part = cache.allocate();
    std::memcpy(part->append(static_cast<std::uint32_t>(count)), frame.data() + at, count);
    if (whole == nullptr)
      whole = std::move(part);
    else if (!whole->chain(part))
      return "the parts of a frame were not chained";
  }
  Burst<1> burst;
  static_cast<void>(burst.push(whole));
  return port.tx(0).tx_burst(burst) == 1 ? "" : "the frame was not taken";
}

/// The frame as it is delivered, without FCS.
std::vector<std::byte> as_delivered(const Probe& probe, const Fate& fate) {
  std::vector<std::byte> bytes = probe.frame();
  if (fate.stripped) bytes.erase(bytes.begin() + 12, bytes.begin() + 16);
  return bytes;
}

/// Sends the probe to the port and says what is wrong with its fate.
std::string wrong_with(SimPort& port, const Probe& probe) {
  const Asked& asked = port.asked;
  const Fate fate = fate_of(probe, asked, port.port().mac());
  const std::uint64_t errors = port.port().stats().rx_length_errors;
  static_cast<void>(port.take_sent());
  if (asked.loopback == LoopbackMode::none) {
    port.inject(probe.frame());
  } else if (const std::string refused = transmit(port.port(), port.pools(), probe.frame()); !refused.empty()) {
    return refused;
  }
  const auto got = receive_all(port.port(), static_cast<std::uint16_t>(asked.config->rx.size()));
  if (!port.take_sent().empty()) return "it left for the wire";
  const bool counted = port.port().stats().rx_length_errors != errors;
  if (counted != (fate.end == Fate::End::too_long) && fate.end != Fate::End::open)
    return fmt::format("counted as too long: {}", counted);
  const bool may_arrive = fate.end == Fate::End::delivered || fate.end == Fate::End::open;
  if (got.size() > 1 || (got.size() == 1 && !may_arrive)) return fmt::format("{} frames were delivered", got.size());
  if (got.empty()) return fate.end == Fate::End::delivered ? "it was not delivered" : "";
  if (got[0].queue != fate.queue) return fmt::format("queue {}, expected {}", got[0].queue, fate.queue);
  if (got[0].tag != fate.stripped) return fmt::format("a tag that is {:#x}", got[0].tag.value_or(0));
  std::vector<std::byte> bytes = got[0].bytes;
  if (asked.config->keep_fcs) bytes.resize(bytes.size() - 4);
  return bytes == as_delivered(probe, fate) ? "" : fmt::format("other bytes, {} of them", got[0].bytes.size());
}

/// A started port with random settings. Some combinations of rules are refused, since two have the same EtherType.
std::unique_ptr<SimPort> port_with(SimLab& lab, Random& random) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    auto port = std::make_unique<SimPort>(lab, 1);
    port->asked = random_settings(random, lab.pools);
    if (set_all(port->port(), port->asked)) return port->settle() ? std::move(port) : nullptr;
  }
  return nullptr;
}

TEST(Settings, DecideTheFateOfFrames) {
  SimLab lab;
  std::printf("seeds 1 to %llu\n", static_cast<unsigned long long>(kSettings));
  std::array<unsigned, 4> ends{};
  for (std::uint64_t seed = 1; seed <= kSettings; ++seed) {
    Random random(seed);
    const auto opened = port_with(lab, random);
    ASSERT_NE(opened, nullptr);
    SimPort& port = *opened;
    for (unsigned i = 0; i < kFrames; ++i) {
      Probe probe = random_probe(random, port.asked, port.port().mac());
      if (port.asked.loopback != LoopbackMode::none) probe.bytes = std::min(probe.bytes, port.asked.config->mtu + 14UL);
      ++ends[static_cast<std::size_t>(fate_of(probe, port.asked, port.port().mac()).end)];
      const std::string wrong = wrong_with(port, probe);
      ASSERT_EQ(wrong, "") << "seed " << seed << ", frame " << i << ": " << probe.bytes << " bytes to "
                           << to_string(probe.destination) << ", tag " << probe.tag.value_or(0xFFFF) << ", type "
                           << probe.ether_type << ", protocol " << static_cast<int>(probe.protocol) << ", ports "
                           << probe.source_port << " " << probe.target_port;
    }
  }
  for (const unsigned count : {ends[0], ends[1], ends[2]}) EXPECT_GT(count, 100U) << "frames of each fate";
}

// The first line of Microsoft's verification suite for RSS.
TEST(Settings, AreJudgedByTheHashOfMicrosoft) {
  const std::array<std::uint8_t, 12> input{66,  9,  149,       187,         161,       142,
                                           100, 80, 2794 >> 8, 2794 & 0xFF, 1766 >> 8, 1766 & 0xFF};
  const packet::RssKey key{0x6D, 0x5A, 0x56, 0xDA, 0x25, 0x5B, 0x0E, 0xC2, 0x41, 0x67, 0x25, 0x3D, 0x43, 0xA3,
                           0x8F, 0xB0, 0xD0, 0xCA, 0x2B, 0xCB, 0xAE, 0x7B, 0x30, 0xB4, 0x77, 0xCB, 0x2D, 0xA3,
                           0x80, 0x30, 0xF2, 0x0C, 0x6A, 0x42, 0xB7, 0x3B, 0xBE, 0xAC, 0x01, 0xFA};
  EXPECT_EQ(toeplitz(key, input), 0x51CCC178U);
}

}  // namespace
}  // namespace pollux::test::settings
