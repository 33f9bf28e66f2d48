// SPDX-License-Identifier: BSD-3-Clause
// Flow rules on an in-process card: which fit, where frames go, and that software agrees.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "pollux/mem/burst.hpp"
#include "pollux/net/flow/match.hpp"
#include "pollux/net/flow/software_classifier.hpp"
#include "pollux/net/packet/builder.hpp"
#include "pollux/net/packet/transport.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr std::uint16_t kFlowQueues = 10;
constexpr std::uint8_t kSyn = packet::TcpHeader::syn;

struct FlowFrame {
  std::uint16_t ether_type = 0;  // 0: IP
  bool version6 = false;
  std::vector<std::uint16_t> tags = {};  // their types, the outer one first
  std::uint8_t protocol = 17;
  std::uint8_t source = 1, destination = 2;  // last bytes of the addresses
  std::uint16_t source_port = 1, destination_port = 2;
  std::uint8_t flags = 0;
};

std::vector<std::byte> flow_frame_bytes(const FlowFrame& frame) {
  std::array<std::uint8_t, 128> memory{};
  packet::Builder builder(memory);
  builder.ethernet(
      {.destination = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, .source = {2}, .ether_type = frame.ether_type});
  if (frame.ether_type == 0 && frame.version6) {
    packet::Ipv6Header header{.next_header = 59};
    header.source[15] = frame.source;
    header.destination[15] = frame.destination;
    builder.ipv6(header);
  } else if (frame.ether_type == 0) {
    builder.ipv4(
        {.protocol = frame.protocol, .source = {10, 0, 0, frame.source}, .destination = {10, 0, 0, frame.destination}});
  }
  if (frame.ether_type == 0 && frame.protocol == 17) {
    builder.udp({.source_port = frame.source_port, .destination_port = frame.destination_port});
  } else if (frame.ether_type == 0 && frame.protocol == 6) {
    builder.tcp({.source_port = frame.source_port, .destination_port = frame.destination_port, .flags = frame.flags});
  }
  std::array<std::uint8_t, 20> payload{};
  if (frame.protocol == 132) {
    packet::store16(payload.data(), frame.source_port);
    packet::store16(&payload[2], frame.destination_port);
  }
  const auto built = builder.payload(payload).finish();
  EXPECT_TRUE(built) << built.error().message();
  const auto octets = std::as_bytes(*built);
  std::vector<std::byte> bytes(octets.begin(), octets.end());
  for (std::size_t i = 0; i < frame.tags.size(); ++i) {
    const std::array<std::byte, 4> tag{
        static_cast<std::byte>(frame.tags[i] >> 8), static_cast<std::byte>(frame.tags[i] & 0xFF), {}, std::byte(7)};
    bytes.insert(bytes.begin() + 12 + static_cast<std::ptrdiff_t>(4 * i), tag.begin(), tag.end());
  }
  return bytes;
}

class FlowPort : public testing::Test {
 protected:
  void SetUp() override {
    port = fixture.started(config_with(kFlowQueues));
    ASSERT_NE(port, nullptr);
    // All frames that no rule selects go to queue 0.
    RssConfig rss = test::rss_of(*port);
    rss.table.assign(rss.table.size(), 0);
    ASSERT_TRUE(port->change([&](Settings& settings) { settings.rss = rss; }));
  }
  [[nodiscard]] Settings config_with(std::uint16_t queues) const {
    Settings config = fixture.config();
    config.rx.resize(queues, config.rx[0]);
    return config;
  }
  FlowRuleId add(const FlowRule& rule) {
    const auto added = test::add_rule(*port, rule);
    EXPECT_TRUE(added) << added.error().message();
    return added.value_or(FlowRuleId{});
  }
  /// Why the card rejects a rule; empty if it does not.
  std::string refusal(const FlowRule& rule) {
    const auto before = port->settings().rules;
    const auto added = test::add_rule(*port, rule);
    if (added) {
      EXPECT_TRUE(test::remove_rule(*port, *added));
      return "";
    }
    EXPECT_EQ(port->settings().rules, before);
    EXPECT_NE(added.error().hint, "");
    return added.error().what;
  }
  /// The queue in which the frame arrives, or -1. `software`: the classifier must agree.
  int queue_of(const FlowFrame& frame, const SoftwareClassifier* software = nullptr) {
    fixture.wire->inject(flow_frame_bytes(frame));
    int found = -1;
    for (std::uint16_t queue = 0; queue < kFlowQueues && port->rx_queue(queue) != nullptr; ++queue) {
      Burst<4> burst;
      if (port->rx_queue(queue)->rx_burst(burst) == 0) continue;
      found = queue;
      if (software != nullptr) {
        EXPECT_EQ(software->decide(burst[0]).queue, queue);
      }
      burst.drop(seen);
    }
    return found;
  }

  IgbFixture fixture;
  std::unique_ptr<PortMachine> port;
  DropCounter seen{"seen"};
};

TEST_F(FlowPort, SendsFramesOfARuleToItsQueue) {
  add({match::ipv4().udp().destination_port(53), to_queue(9)});
  add({match::eth().type(0x88F7), to_queue(4)});
  add({match::tcp().flags(kSyn, kSyn), to_queue(5)});
  EXPECT_EQ(queue_of({.destination_port = 53}), 9);
  EXPECT_EQ(queue_of({.tags = {0x8100}, .destination_port = 53}), 9);
  EXPECT_EQ(queue_of({.destination_port = 54}), 0);
  EXPECT_EQ(queue_of({.version6 = true, .destination_port = 53}), 0);
  EXPECT_EQ(queue_of({.ether_type = 0x88F7}), 4);
  EXPECT_EQ(queue_of({.ether_type = 0x88F7, .tags = {0x8100}}), 4);
  EXPECT_EQ(queue_of({.ether_type = 0x88F8}), 0);
  EXPECT_EQ(queue_of({.protocol = 6, .flags = kSyn}), 5);
  EXPECT_EQ(queue_of({.version6 = true, .protocol = 6, .flags = kSyn}), 5);
  EXPECT_EQ(queue_of({.protocol = 6, .flags = packet::TcpHeader::ack}), 0);
}

TEST_F(FlowPort, TakesRulesAwayAndKeepsTheOthers) {
  const FlowRuleId first = add({match::ipv4().udp().destination_port(53), to_queue(1), 1});
  const FlowRuleId second = add({match::ipv4().udp().source_port(7), to_queue(2), 2});
  const FlowFrame both{.source_port = 7, .destination_port = 53};
  EXPECT_EQ(queue_of(both), 1);
  ASSERT_TRUE(test::remove_rule(*port, first));
  EXPECT_EQ(queue_of(both), 2);
  EXPECT_EQ(port->settings().rules.size(), 1U);
  EXPECT_EQ(port->settings().rules.begin()->first, second);
  ASSERT_TRUE(test::remove_rule(*port, second));
  EXPECT_EQ(queue_of(both), 0);
  EXPECT_EQ(fixture.value<reg::FTQF>(0).raw(), 0U);
}

TEST_F(FlowPort, AnIdMayNameAnotherRuleAndItsFilterThenIsAnother) {
  add({match::eth().type(0x88B5), to_queue(1)});
  const FlowRuleId id = add({match::ipv4().udp().destination_port(53), to_queue(1)});
  EXPECT_NE(fixture.value<reg::FTQF>(0).raw(), 0U);
  ASSERT_TRUE(port->change([&](Settings& settings) { settings.rules[id] = {match::eth().type(0x88B6), to_queue(2)}; }));
  EXPECT_EQ(fixture.value<reg::FTQF>(0).raw(), 0U);
  EXPECT_EQ(fixture.value<reg::ETQF>(0).get(reg::ETQF::ETYPE), 0x88B5U);
  EXPECT_EQ(fixture.value<reg::ETQF>(1).get(reg::ETQF::ETYPE), 0x88B6U);
}

TEST_F(FlowPort, OutlivesRestartsAndNewConfigurations) {
  add({match::ipv4().udp().destination_port(53), to_queue(2)});
  add({match::tcp().flags(kSyn, kSyn), to_queue(1), 0});
  add({match::ipv4().tcp(), to_queue(2), 1});
  ASSERT_TRUE(port->stop());
  const auto fewer = test::configure_port(*port, config_with(2));
  ASSERT_FALSE(fewer);
  EXPECT_EQ(fewer.error().code, ErrorCode::invalid_argument);
  ASSERT_TRUE(test::configure_port(*port, config_with(3)));
  add({match::eth().type(0x88F7), to_queue(1)});
  ASSERT_TRUE(port->start());
  fixture.clock->advance(std::chrono::seconds(1));
  EXPECT_EQ(queue_of({.destination_port = 53}), 2);
  EXPECT_EQ(queue_of({.protocol = 6, .flags = kSyn}), 1);
  EXPECT_EQ(queue_of({.protocol = 6}), 2);
  EXPECT_EQ(queue_of({.ether_type = 0x88F7}), 1);
  EXPECT_EQ(port->settings().rules.size(), 4U);
  ASSERT_TRUE(port->close());
  EXPECT_EQ(test::add_rule(*port, {match::eth().type(0x88F8), to_queue(1)}).error().code, ErrorCode::bad_state);
}

TEST_F(FlowPort, SaysWhyARuleDoesNotFit) {
  const auto why = [&](std::vector<MatchItem> items) {
    const std::string text = refusal({std::move(items), to_queue(1)});
    const std::string start = "sim:0: the card cannot execute the flow rule: ";
    return text.starts_with(start) ? text.substr(start.size()) : text;
  };
  using namespace match;
  EXPECT_EQ(why({}), "it matches every frame");
  EXPECT_EQ(why(ipv4().source({10, 0, 0, 0}, 8).udp()),
            "match[0] (ipv4): source: the card compares all of its bits or none");
  EXPECT_EQ(why(ipv4().udp().destination_port(1, 2)),
            "match[1] (udp): destination_port: the card compares single values, and this is a range");
  EXPECT_EQ(why(eth().source({2}).type(0x88F7)), "match[0] (eth): source: the card does not compare it");
  EXPECT_EQ(why(eth().type(0x0800).ipv4().udp()),
            "match[0] (eth): type: the card does not compare it together with other items");
  EXPECT_EQ(why(eth()), "match[0] (eth): it compares no type");
  EXPECT_NE(why(eth().type(0x0800)).find("would hide the packet type"), std::string::npos);
  EXPECT_NE(why(eth().type(0x8100)).find("after tags"), std::string::npos);
  EXPECT_NE(why(eth().type(0x05FF)).find("not lengths"), std::string::npos);
  EXPECT_EQ(why(eth().vlan().id(7)), "match[1] (vlan): the card's filters do not compare tags");
  EXPECT_EQ(why(ipv6().tcp()), "match[0] (ipv6): the card's filters do not compare IPv6");
  EXPECT_NE(why(ipv4().udp().raw({1})).find("match[2] (raw)"), std::string::npos);
  EXPECT_NE(why(ipv4()).find("needs a tcp, udp or sctp item"), std::string::npos);
  EXPECT_NE(why(udp().destination_port(53)).find("needs an ipv4 item"), std::string::npos);
  EXPECT_NE(why(ipv4().protocol(6).udp()).find("the next item is another protocol"), std::string::npos);
  EXPECT_EQ(why(ipv4().tcp().flags(kSyn, kSyn)), "match[1] (tcp): flags: the card does not compare it");
  EXPECT_EQ(why(tcp().flags(kSyn, 0x12)), "match[0] (tcp): flags: the card compares only SYN, set");
  EXPECT_EQ(why(tcp().flags(0, kSyn)), "match[0] (tcp): flags: the card compares only SYN, set");
  EXPECT_EQ(why(tcp().flags(kSyn, kSyn).source_port(1)), "match[0] (tcp): source_port: the card does not compare it");
  EXPECT_NE(why(tcp()).find("ipv4 item before it"), std::string::npos);
  const std::vector<MatchItem> dns = ipv4().udp().destination_port(53);
  EXPECT_EQ(why(dns), "");
  EXPECT_NE(refusal({dns, to_drop()}).find("only send frames to a queue"), std::string::npos);
  EXPECT_NE(refusal({dns, to_queue(1).with_mark(1)}).find("do not mark"), std::string::npos);
  EXPECT_NE(refusal({dns, to_queue(kFlowQueues)}).find("it uses queue 10"), std::string::npos);
  EXPECT_NE(refusal({eth().type(0x88F7), to_queue(8)}).find("EtherType filters reach queues 0 to 7, not 8"),
            std::string::npos);
  EXPECT_NE(refusal({tcp().flags(kSyn, kSyn), to_queue(8)}).find("SYN filters reach queues 0 to 7"), std::string::npos);
}

TEST_F(FlowPort, SaysThatFiltersAreInUseOrContradictEachOther) {
  for (std::uint16_t i = 0; i < 8; ++i) {
    add({match::eth().type(static_cast<std::uint16_t>(0x9900 + i)), to_queue(1)});
    if (i < 7) add({match::ipv4().tcp().source_port(i), to_queue(1), 5});
  }
  EXPECT_NE(refusal({match::eth().type(0x9908), to_queue(1)}).find("all 8 EtherType filters"), std::string::npos);
  EXPECT_NE(refusal({match::eth().type(0x9900), to_queue(2)}).find("another flow rule is for EtherType 0x9900"),
            std::string::npos);
  const FlowRule syn{match::tcp().flags(kSyn, kSyn), to_queue(1), 6};
  add(syn);
  EXPECT_NE(refusal(syn).find("all 1 SYN filters"), std::string::npos);
  EXPECT_NE(refusal({match::ipv4().tcp(), to_queue(1), 7}).find("between others for TCP"), std::string::npos);
  add({match::ipv4().udp(), to_queue(1), 7});
  EXPECT_NE(refusal({match::ipv4().udp(), to_queue(1)}).find("all 8 five-tuple filters"), std::string::npos);
}

/// A rule that the card may or may not be able to execute.
FlowRule random_rule(std::mt19937& random) {
  const auto address = [&] { return packet::Ipv4Address{10, 0, 0, static_cast<std::uint8_t>(random() % 3)}; };
  const auto number = [&] { return static_cast<std::uint16_t>(random() % 3); };
  FlowRule rule{.action = to_queue(static_cast<std::uint16_t>(1 + random() % 7)),
                .priority = static_cast<std::uint32_t>(random() % 4)};
  const unsigned kind = random() % 8;
  if (kind == 0) {
    rule.match = match::eth().type(static_cast<std::uint16_t>(0x9900 + random() % 3));
  } else if (kind == 1) {
    rule.match = match::tcp().flags(kSyn, kSyn);
  } else {
    auto ip = match::ipv4();
    if (random() % 2 == 0) ip = std::move(ip).source(address());
    if (random() % 2 == 0) ip = std::move(ip).destination(address(), random() % 8 == 0 ? 31 : 32);
    const auto finish = [&](auto header) {
      if (random() % 2 == 0) header = std::move(header).source_port(number());
      if (random() % 2 == 0) header = std::move(header).destination_port(number());
      rule.match = std::move(header);
    };
    if (kind < 4) finish(std::move(ip).udp());
    if (kind >= 4 && kind < 7) finish(std::move(ip).tcp());
    if (kind == 7) finish(std::move(ip).sctp());
  }
  return rule;
}

/// Half of the frames have no tag.
std::vector<std::uint16_t> random_tags(std::mt19937& random) {
  static const std::vector<std::vector<std::uint16_t>> kTags{
      {0x8100}, {0x8100}, {0x88A8}, {0x9100}, {0x8100, 0x8100}, {0x88A8, 0x8100}, {0x8100, 0x88A8}};
  const std::size_t choice = random() % (2 * kTags.size());
  return choice < kTags.size() ? kTags[choice] : std::vector<std::uint16_t>{};
}

TEST_F(FlowPort, SoftwareAgreesForRandomRulesAndFrames) {
  std::mt19937 random(3);
  std::size_t installed = 0, refused = 0, selected = 0;
  for (int round = 0; round < 80; ++round) {
    ASSERT_TRUE(port->change([&](Settings& settings) { settings.vlan_stripping = round % 2 == 1; }));
    SoftwareClassifier software(kFlowQueues);
    std::vector<FlowRuleId> ids;
    for (int i = 0; i < 12; ++i) {
      const FlowRule rule = random_rule(random);
      const auto added = test::add_rule(*port, rule);
      ++(added ? installed : refused);
      if (!added) continue;
      ids.push_back(*added);
      ASSERT_TRUE(software.add(rule));
    }
    for (int i = 0; i < 40; ++i) {
      constexpr std::array<std::uint8_t, 4> kProtocols{6, 17, 132, 1};
      const FlowFrame frame{.ether_type = static_cast<std::uint16_t>(random() % 6 == 0 ? 0x9900 + random() % 3 : 0),
                            .version6 = random() % 6 == 0,
                            .tags = random_tags(random),
                            .protocol = kProtocols[random() % 4],
                            .source = static_cast<std::uint8_t>(random() % 3),
                            .destination = static_cast<std::uint8_t>(random() % 3),
                            .source_port = static_cast<std::uint16_t>(random() % 3),
                            .destination_port = static_cast<std::uint16_t>(random() % 3),
                            .flags = static_cast<std::uint8_t>(random() % 2 == 0 ? kSyn : 0)};
      const int queue = queue_of(frame, &software);
      ASSERT_GE(queue, 0);
      selected += queue > 0 ? 1 : 0;
    }
    for (const FlowRuleId id : ids) ASSERT_TRUE(test::remove_rule(*port, id));
  }
  EXPECT_GT(installed, 200U);
  EXPECT_GT(refused, 20U);
  EXPECT_GT(selected, 500U);
}

// The card would apply them only to frames with the outer tag.
TEST_F(FlowPort, ExcludesOuterVlanTags) {
  const auto set_outer_type = [&](std::optional<std::uint16_t> type) {
    return port->change([=](Settings& settings) { settings.outer_vlan_type = type; });
  };
  const FlowRule dns{match::ipv4().udp().destination_port(53), to_queue(1)};
  const FlowRuleId id = add(dns);
  const auto refused = set_outer_type(0x88A8);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::bad_state);
  EXPECT_NE(refused.error().hint.find("remove the rules"), std::string::npos);
  EXPECT_EQ(port->settings().outer_vlan_type, std::nullopt);
  EXPECT_TRUE(set_outer_type(std::nullopt)) << "it is off";
  ASSERT_TRUE(test::remove_rule(*port, id));
  ASSERT_TRUE(set_outer_type(0x88A8));
  EXPECT_NE(refusal(dns).find("outer VLAN type"), std::string::npos);
  ASSERT_TRUE(set_outer_type(std::nullopt));
  EXPECT_EQ(refusal(dns), "");
}

}  // namespace
}  // namespace pollux::drivers::igb
