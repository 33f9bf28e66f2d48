// SPDX-License-Identifier: BSD-3-Clause
// Rules that are not well formed are rejected with the item and the reason.
#include "unit/flow/fixture.hpp"

namespace pollux {
namespace {

std::string reason(const FlowRule& rule) {
  const auto checked = check_rule(rule);
  if (checked) return "";
  EXPECT_EQ(checked.error().code, ErrorCode::invalid_argument);
  EXPECT_FALSE(checked.error().hint.empty());
  return checked.error().what;
}
std::string reason(std::vector<MatchItem> items) { return reason(FlowRule{std::move(items), to_drop()}); }
MatchItem item_of(MatchProtocol protocol) { return {.protocol = protocol}; }

TEST(CheckRule, AcceptsWhatTheBuilderMakes) {
  EXPECT_EQ(reason(match::ipv4().udp().destination_port(53)), "");
  EXPECT_EQ(reason(match::eth().type(0x8100).vlan().id(7).vlan().ipv6().tcp().flags(2, 2).raw({1})), "");
  EXPECT_EQ(reason(match::udp().source_port(1, 65535).raw({1}, -3).search(4).mask({1})), "");
  EXPECT_EQ(reason(match::ipv4().source({10, 0, 0, 0}, 8).sctp()), "");
  EXPECT_EQ(reason(match::raw({1}, 12).raw({2})), "");
  EXPECT_EQ(reason(std::vector<MatchItem>{}), "");
  EXPECT_EQ(reason({{}, to_mark(0)}), "");
}

TEST(CheckRule, RejectsItemsInAnotherOrder) {
  using enum MatchProtocol;
  EXPECT_EQ(reason({item_of(eth), item_of(udp)}), "flow rule: match[1] (udp) is not allowed here");
  for (const auto& items : std::vector<std::vector<MatchProtocol>>{{ipv4, eth},
                                                                   {eth, eth},
                                                                   {ipv4, vlan},
                                                                   {ipv4, ipv4},
                                                                   {ipv4, ipv6},
                                                                   {tcp, udp},
                                                                   {udp, ipv4},
                                                                   {vlan, tcp},
                                                                   {vlan, vlan, vlan},
                                                                   {static_cast<MatchProtocol>(8)}}) {
    std::vector<MatchItem> rule;
    for (const MatchProtocol protocol : items) rule.push_back(item_of(protocol));
    EXPECT_NE(reason(rule).find("is not allowed here"), std::string::npos) << static_cast<int>(items[0]);
  }
  MatchItem bytes = item_of(raw);
  bytes.spec = {1};
  EXPECT_NE(reason(std::vector<MatchItem>{bytes, item_of(udp)}), "");
}

TEST(CheckRule, RejectsBytesOfTheWrongNumber) {
  MatchItem item = item_of(MatchProtocol::udp);
  item.mask = {1};
  EXPECT_NE(reason({item}).find("without a spec"), std::string::npos);
  item = item_of(MatchProtocol::udp);
  item.last = test::Octets(8);
  EXPECT_NE(reason({item}).find("without a spec"), std::string::npos);
  for (const std::size_t wrong : {1UL, 7UL, 9UL}) {
    for (auto part : {&MatchItem::spec, &MatchItem::mask, &MatchItem::last}) {
      item.spec = item.mask = item.last = test::Octets(8);
      EXPECT_EQ(reason({item}), "");
      (item.*part).resize(wrong);
      EXPECT_EQ(reason({item}), "flow rule: match[0] (udp) has bytes of the wrong number") << wrong;
    }
  }
}

TEST(CheckRule, RejectsRangesThatEndBeforeTheyStart) {
  EXPECT_EQ(reason(match::udp().destination_port(2000, 1999)),
            "flow rule: match[0] (udp): the range of destination_port ends before it starts");
  FlowRule rule{match::udp().destination_port(2000, 1999), to_drop()};
  rule.match[0].mask[2] = 0;  // the low bytes are 0xD0 and 0xCF
  EXPECT_NE(reason(rule), "");
  rule.match[0].mask[3] = 0xF;  // 0 and 15
  EXPECT_EQ(reason(rule), "");
}

TEST(CheckRule, RejectsPositionsThatMakeNoSense) {
  MatchItem item = item_of(MatchProtocol::udp);
  item.search = true;
  EXPECT_NE(reason({item}).find("has a position"), std::string::npos);
  EXPECT_NE(reason(match::raw({})).find("has 0 bytes"), std::string::npos);
  EXPECT_EQ(reason(match::raw(test::Octets(128))), "");
  EXPECT_NE(reason(match::raw(test::Octets(129))).find("has 129 bytes"), std::string::npos);
  EXPECT_NE(reason(match::raw({1}, -1)).find("starts 1 bytes before the frame"), std::string::npos);
  item = item_of(MatchProtocol::raw);
  item.spec = item.last = {1};
  EXPECT_NE(reason({item}).find("has a range"), std::string::npos);
}

TEST(CheckRule, RejectsActionsThatMakeNoSense) {
  EXPECT_NE(reason({{}, FlowAction{}}).find("does nothing"), std::string::npos);
  EXPECT_NE(reason({{}, to_queues({})}).find("no queues"), std::string::npos);
  EXPECT_EQ(reason({{}, to_queues({.table = {1, 2, 3}})}), "");
  EXPECT_NE(reason({{}, to_queues({.table = {1}, .types = {512}})}).find("unknown types"), std::string::npos);
  EXPECT_NE(reason({{}, to_queues({.table = {1}, .symmetric = true})}).find("not symmetric"), std::string::npos);
  FlowAction unknown = to_drop();
  unknown.kind = static_cast<FlowAction::Kind>(9);
  EXPECT_NE(reason({{}, unknown}).find("not a known one"), std::string::npos);
}

}  // namespace
}  // namespace pollux
