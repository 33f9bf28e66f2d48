// SPDX-License-Identifier: BSD-3-Clause
// Which frames a port on an interface of the kernel takes, and which it leaves to the kernel.
#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/flow/match.hpp"
#include "pollux/net/port_facts.hpp"
#include "support/settings_edits.hpp"
#include "xdp_fixture.hpp"

namespace pollux::ports {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class XdpPortRules : public XdpPort {
 protected:
  /// Of the frames that the kernel gets to see.
  static Bytes in_vlan(std::uint16_t number) {
    Bytes frame = ether(numbered(60, 1));
    frame[12] = 0x81;
    frame[13] = 0;
    frame[14] = static_cast<std::uint8_t>(number >> 8);
    frame[15] = static_cast<std::uint8_t>(number);
    frame[16] = KernelEnd::kEtherType >> 8;
    frame[17] = KernelEnd::kEtherType & 0xFF;
    return frame;
  }
  static std::string fact(Port& port, std::string_view name) {
    for (const PortFact& one : port.capability<PortFacts>()->facts()) {
      if (one.name == name) return one.value;
    }
    return {};
  }
  static void shell(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }

  const FlowRule experimental_{match::eth().type(KernelEnd::kEtherType), to_port()};
};

TEST_F(XdpPortRules, TakesNothingWithoutARule) {
  KernelEnd near("plxu0");
  KernelEnd far("plxu1");
  const Bytes frame = ether(numbered(60, 1));
  {
    Port port = started("xdp:plxu0");
    EXPECT_THAT(log_, Contains(HasSubstr("takes no frames, since no rule says which: xdp:plxu0?rule=all")));
    EXPECT_THAT(fact(port, "takes"), HasSubstr("no frames"));
    far.send(frame);
    EXPECT_EQ(receive(near), frame);
    EXPECT_THAT(poll(port), IsEmpty());
    EXPECT_GE(counter(port, "xdp_passed"), 1U);
    EXPECT_EQ(send(port, {frame}), 1U);
    EXPECT_EQ(receive(far), frame) << "it sends";
  }
  log_.clear();
  Port quiet = started("xdp:plxu0?rule=none");
  EXPECT_THAT(log_, testing::Not(Contains(HasSubstr("takes no frames"))));
}

TEST_F(XdpPortRules, ChangeWhileThePortRuns) {
  Port port = started("xdp:plxu0");
  KernelEnd near("plxu0");
  KernelEnd far("plxu1");
  const Bytes frame = ether(numbered(60, 1));
  const FlowRuleId id = must(test::add_rule(port, experimental_));
  for (int i = 0; i < 3; ++i) far.send(frame);
  EXPECT_EQ(receive(port, 3).size(), 3U);
  EXPECT_THAT(near.receive(), IsEmpty());
  EXPECT_EQ(counter(port, "xdp_rule_1"), 3U);
  EXPECT_EQ(fact(port, "takes"), "frames by 1 flow rules");
  ASSERT_TRUE(test::remove_rule(port, id));
  far.send(frame);
  EXPECT_EQ(receive(near), frame);
  EXPECT_THAT(poll(port), IsEmpty());
  must(test::add_rule(port, experimental_));
  EXPECT_EQ(counter(port, "xdp_rule_1"), 0U) << "the counter of another rule had its name and place";
  far.send(frame);
  EXPECT_EQ(receive(port, 1).size(), 1U);
  ASSERT_TRUE(port.stop());
  EXPECT_EQ(counter(port, "xdp_rule_1"), 1U);
  ASSERT_TRUE(port.start());
  far.send(frame);
  EXPECT_EQ(receive(port, 1).size(), 1U) << "rules stay";
  EXPECT_EQ(counter(port, "xdp_rule_1"), 2U);
}

TEST_F(XdpPortRules, DropAndLeaveFramesToTheKernel) {
  Port port = started("xdp:plxu0?rule=all");
  KernelEnd near("plxu0");
  KernelEnd far("plxu1");
  must(test::add_rule(port, {.match = experimental_.match, .action = to_kernel()}));
  far.send(in_vlan(7));
  EXPECT_EQ(receive(port, 1).size(), 1U) << "the rule of the URI comes first";
  ASSERT_TRUE(test::remove_rule(port, FlowRuleId{1}));
  must(test::add_rule(port, {.match = match::vlan().id(7), .action = to_drop()}));
  must(test::add_rule(port, {.match = {}, .action = to_port(), .priority = 1}));
  const Bytes frame = ether(numbered(60, 1));
  far.send(frame);
  EXPECT_EQ(receive(near), frame);
  far.send(in_vlan(8));
  EXPECT_EQ(receive(near).size(), 60U - 4) << "the kernel has removed the tag";
  far.send(ether(numbered(64, 2)));
  EXPECT_TRUE(soon([&] { return near.receive().size() == 64; }));
  Bytes other = numbered(70, 3);
  far.send(other);
  EXPECT_THAT(receive(port, 1), ElementsAre(other));
}

TEST_F(XdpPortRules, FromTheUri) {
  Port port = started("xdp:plxu0?rule=vlan:7;type:0x88b6");
  ASSERT_EQ(port.settings().rules.size(), 2U);
  KernelEnd near("plxu0");
  KernelEnd far("plxu1");
  far.send(ether(numbered(60, 1)));
  far.send(in_vlan(7));
  EXPECT_THAT(receive(port, 1), ElementsAre(in_vlan(7)));
  EXPECT_EQ(receive(near), ether(numbered(60, 1)));
  EXPECT_EQ(counter(port, "xdp_rule_1"), 1U);
  EXPECT_EQ(counter(port, "xdp_rule_2"), 0U);
  EXPECT_THAT(refused("xdp:plxu0?rule=tcpp").what, HasSubstr("'tcpp'"));
  EXPECT_THAT(refused("xdp:plxu0?rule=all,force=maybe").what, HasSubstr("force"));
}

// The last one would win, and other frames be taken than were meant.
TEST_F(XdpPortRules, RefusesAWordThatIsGivenTwice) {
  for (const auto& [rule, word] : {std::pair("udp:53+udp:54", "udp"), std::pair("to:10.0.0.1+to:10.0.0.2", "to"),
                                   std::pair("tcp:80;ipv4+ipv4", "ipv4"), std::pair("type:0x800+type:0x806", "type")}) {
    const Error error = refused(std::string("xdp:plxu0?rule=") + rule);
    EXPECT_EQ(error.code, ErrorCode::invalid_argument);
    EXPECT_THAT(error.what, HasSubstr(std::string("'") + word + "' is given twice in one rule"));
  }
  EXPECT_THAT(refused("xdp:plxu0?rule=vlan:1+vlan:2+vlan:3").code, ErrorCode::invalid_argument) << "too many tags";
}

TEST_F(XdpPortRules, SeveralVlansAreTagsInThatOrder) {
  Port port = started("xdp:plxu0?rule=vlan:1+vlan:2");
  const auto tagged = [](std::initializer_list<std::uint8_t> vlans) {
    Bytes frame = numbered(12, 1);
    for (const std::uint8_t vlan : vlans) frame.insert(frame.end(), {0x81, 0x00, 0x00, vlan});
    frame.insert(frame.end(), {0x88, 0xB5});
    frame.resize(64);
    return frame;
  };
  KernelEnd far("plxu1");
  for (const auto& vlans : {tagged({2}), tagged({1}), tagged({2, 1}), tagged({1, 2})}) far.send(vlans);
  EXPECT_THAT(receive(port, 1), ElementsAre(tagged({1, 2})));
  EXPECT_EQ(counter(port, "xdp_rule_1"), 1U);
}

TEST_F(XdpPortRules, RefusedOnesChangeNothing) {
  Port port = started("xdp:plxu0?rule=type:0x88b5");
  KernelEnd far("plxu1");
  const auto queue = test::add_rule(port, {.match = match::udp(), .action = to_queue(0)});
  ASSERT_FALSE(queue);
  EXPECT_EQ(queue.error().code, ErrorCode::not_supported);
  for (std::uint16_t i = 0; i < 62; ++i) {
    must(test::add_rule(port, {.match = match::udp().destination_port(i), .action = to_port()}));
  }
  const auto more = test::add_rule(port, {.match = match::udp(), .action = to_port()});
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, ErrorCode::busy);
  EXPECT_EQ(port.settings().rules.size(), 63U);
  far.send(ether(numbered(60, 1)));
  EXPECT_EQ(receive(port, 1).size(), 1U);
}

// All frames of the interface over which a host reaches others would end its connections.
TEST_F(XdpPortRules, WantForceOnTheInterfaceOfTheDefaultRoute) {
  shell("ip addr add 10.9.0.1/24 dev plxu0 && ip route add default via 10.9.0.2 dev plxu0");
  for (const char* rule : {"all", "ipv4", "tcp", "udp", "udp:1;all", "type:0x0800", "tcp:0-32767;tcp:32768-65535"}) {
    const Error error = refused_start(std::string("xdp:plxu0?rule=") + rule, config());
    EXPECT_EQ(error.code, ErrorCode::invalid_argument) << rule;
    EXPECT_THAT(error.what, HasSubstr("the default route goes over plxu0"));
    EXPECT_THAT(error.hint, HasSubstr(std::string("'xdp:plxu0?rule=") + rule + ",force'")) << "no more than was asked";
  }
  {
    Port narrow = started("xdp:plxu0?rule=udp:53");
    EXPECT_FALSE(test::add_rule(narrow, {.match = {}, .action = to_port()}));
    EXPECT_TRUE(test::add_rule(narrow, {.match = match::udp().destination_port(54), .action = to_port()}));
  }
  EXPECT_TRUE(open(context_, "xdp:plxu0?rule=all,force", config()));
  shell("ip route del default");
  EXPECT_TRUE(open(context_, "xdp:plxu0?rule=all", config()));
  shell("ip addr flush dev plxu0");
}

TEST_F(XdpPortRules, WantForceUnderneathTheDefaultRoute) {
  shell(
      "ip link add plxb type bridge && ip link set plxu0 master plxb && ip addr add 10.9.0.1/24 dev plxb && "
      "ip link set plxb up && ip route add default via 10.9.0.2 dev plxb");
  EXPECT_THAT(refused_start("xdp:plxu0?rule=all", config()).what, HasSubstr("the default route goes over plxb"));
  EXPECT_TRUE(open(context_, "xdp:plxu1?rule=all", config())) << "the other end of the pair is no part of the bridge";
  shell("ip link del plxb");
}

TEST_F(XdpPortRules, WantForceBelowAnInterfaceThatLiesOnIt) {
  if (std::system("ip link add link plxu0 name plxm type macvlan") != 0) GTEST_SKIP() << "the kernel has no macvlan";
  shell("ip addr add 10.9.0.1/24 dev plxm && ip link set plxm up && ip route add default via 10.9.0.2 dev plxm");
  EXPECT_THAT(refused_start("xdp:plxu0?rule=all", config()).what, HasSubstr("the default route goes over plxm"));
  EXPECT_TRUE(open(context_, "xdp:plxu1?rule=all", config()));
  shell("ip link del plxm");
}

TEST_F(XdpPortRules, WantForceOnTheInterfaceOfTheDefaultRouteOfIpv6) {
  if (!std::filesystem::exists("/proc/sys/net/ipv6")) GTEST_SKIP() << "the kernel has no IPv6";
  shell(
      "sysctl -qw net.ipv6.conf.plxu0.disable_ipv6=0 && ip -6 addr add fd09::1/64 dev plxu0 nodad && "
      "ip -6 route add default via fd09::2 dev plxu0");
  EXPECT_THAT(refused_start("xdp:plxu0?rule=all", config()).what, HasSubstr("the default route goes over plxu0"));
  shell("ip -6 route del default && ip -6 addr flush dev plxu0");
  EXPECT_TRUE(open(context_, "xdp:plxu0?rule=all", config()));
}

}  // namespace
}  // namespace pollux::ports
