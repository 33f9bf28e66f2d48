// SPDX-License-Identifier: BSD-3-Clause
// Which rules leave a host what it needs of an interface: frames are enumerated, and `matches` judges.
#include "ports/xdp/host_network.hpp"

#include <fmt/format.h>

#include <bitset>
#include <random>

#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/flow/match.hpp"
#include "ports/xdp/interface.hpp"
#include "ports/xdp/rule_text.hpp"
#include "xdp_fixture.hpp"

namespace pollux::ports {
namespace {

using xdp::HostNetwork;

std::vector<PlacedRule> placed(std::vector<FlowRule> rules) {
  std::vector<PlacedRule> all;
  for (FlowRule& rule : rules) {
    const auto slot = static_cast<std::uint32_t>(all.size());
    all.push_back({{FlowRuleId{slot + 1}, std::move(rule)}});
    all.back().slot = slot;
  }
  return all;
}

class XdpHostNetwork : public PortFixture {
 protected:
  static HostNetwork host() {
    return {.default_route = "eth0",
            .is_tagged = false,
            .owned = {{.ipv6 = false, .first = {10, 9, 0, 1}, .length = 32},
                      {.ipv6 = false, .first = {10, 9, 0, 255}, .length = 32},
                      {.ipv6 = true, .first = {0xFD, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, .length = 128}}};
  }
  static bool spares(const std::string& rules, const HostNetwork& network = host()) {
    return xdp::spares_host(placed(must(xdp::parse_rules(rules, "here"))), network);
  }
  static bool spares(std::vector<MatchItem> match, const HostNetwork& network = host()) {
    return xdp::spares_host(placed({{.match = std::move(match), .action = to_port()}}), network);
  }

  static Bytes ethernet(unsigned type) {
    Bytes frame(64, 0);
    frame[0] = 2;
    put16(frame, 12, type);
    return frame;
  }
  static Bytes ipv4(std::uint8_t protocol, std::array<std::uint8_t, 4> to = {10, 9, 0, 1}) {
    Bytes frame = ethernet(0x0800);
    frame[14] = 0x45;
    frame[17] = 50;
    frame[22] = 64;
    frame[23] = protocol;
    std::copy(to.begin(), to.end(), frame.begin() + 30);
    frame[46] = 0x50;  // the length of a TCP header
    return frame;
  }
  static Bytes ipv6(std::uint8_t protocol) {
    Bytes frame = ethernet(0x86DD);
    frame.resize(78);
    frame[14] = 0x60;
    frame[19] = 24;
    frame[20] = protocol;
    const auto own = host().owned.back().first;
    std::copy(own.begin(), own.end(), frame.begin() + 38);
    frame[66] = 0x50;
    return frame;
  }
  static void put16(std::span<std::uint8_t> bytes, std::size_t at, unsigned value) {
    bytes[at] = static_cast<std::uint8_t>(value >> 8);
    bytes[at + 1] = static_cast<std::uint8_t>(value);
  }
  static bool takes(const std::vector<FlowRule>& rules, const Mbuf& frame) {
    return std::ranges::any_of(rules, [&](const FlowRule& rule) {
      return rule.action.kind != FlowAction::Kind::kernel && matches(rule, frame);
    });
  }
  /// How many of the values at `at` make a frame that the rules take.
  unsigned taken(const std::vector<FlowRule>& rules, const Bytes& frame, std::size_t at) {
    const MbufPtr mbuf = make_mbuf(frame);
    unsigned count = 0;
    for (unsigned value = 0; value <= 0xFFFF; ++value) {
      put16(mbuf->bytes(), at, value);
      count += takes(rules, *mbuf) ? 1U : 0U;
    }
    return count;
  }
};

TEST_F(XdpHostNetwork, LosesNothingByRulesForAPartOfWhatIsNotItsOwn) {
  for (const char* rules :
       {"none", "udp:53", "tcp:80", "tcp:8000-8099", "udp:5000-6023", "udp:53;tcp:80;udp:54", "sctp", "sctp:7",
        "vlan:7", "vlan:7+ipv4", "vlan:1+vlan:2", "type:0x88b5", "type:0x88f7", "to:10.9.0.2", "to:10.8.0.0/24",
        "to:fd08::/64", "from:10.0.0.0/8+udp:53", "vlan:0+ipv4+udp:53", "to:10.9.0.1+tcp:80"}) {
    EXPECT_TRUE(spares(rules)) << rules;
  }
  EXPECT_TRUE(spares(match::vlan().inner_type(0x88F7)));
}

TEST_F(XdpHostNetwork, LosesByRulesThatTakeAllOfAProtocol) {
  for (const char* rules : {"all",
                            "ipv4",
                            "ipv6",
                            "tcp",
                            "udp",
                            "ipv4+tcp",
                            "type:0x0800",
                            "type:0x86dd",
                            "type:0x0806",
                            "type:0x8100",
                            "type:0x8863",
                            "type:0x888e",
                            "type:5",
                            "tcp:0-65535",
                            "tcp:0-32767;tcp:32768-65535",
                            "udp:0-65535",
                            "tcp:0-65535;udp:0-65535",
                            "tcp:1-65535",
                            "udp:5000-6024",
                            "to:0.0.0.0/1;to:128.0.0.0/1",
                            "to:10.9.0.1",
                            "to:10.9.0.0/24",
                            "to:10.9.0.255",
                            "to:10.8.0.0/23",
                            "to:224.0.0.1",
                            "to:255.255.255.255",
                            "to:fd09::1",
                            "to:fd08::/63",
                            "to:fd09::/64",
                            "to:ff02::1",
                            "from:10.9.0.2",
                            "vlan",
                            "vlan:0",
                            "udp:53;all"}) {
    EXPECT_FALSE(spares(rules)) << rules;
  }
  EXPECT_FALSE(spares(match::eth()));
  EXPECT_FALSE(spares(match::eth().destination({2, 0, 0, 0, 0, 1})));
  EXPECT_FALSE(spares(match::raw({0}).mask({0})));
  EXPECT_FALSE(spares(match::raw({8, 0}, 12)));
  EXPECT_FALSE(spares(match::ipv4().protocol(1)));
  EXPECT_FALSE(spares(match::tcp().flags(2, 2)));
  EXPECT_FALSE(spares(match::udp().source_port(53)));
  std::vector<MatchItem> types = match::eth().type(0x8000);
  types[0].last.resize(14);
  types[0].last[12] = types[0].last[13] = 0xFF;
  EXPECT_FALSE(spares(types));
}

TEST_F(XdpHostNetwork, LosesAlsoByRulesThatDropAndNotByThoseThatLeaveFramesToIt) {
  EXPECT_FALSE(xdp::spares_host(placed({{.match = match::tcp(), .action = to_drop()}}), host()));
  EXPECT_TRUE(xdp::spares_host(placed({{.match = {}, .action = to_kernel()}}), host()));
}

TEST_F(XdpHostNetwork, KeepsTheVlansIfItsRouteMayGoOverOne) {
  HostNetwork network = host();
  network.is_tagged = true;
  EXPECT_FALSE(spares("vlan:7", network));
  EXPECT_TRUE(spares("vlan:7+ipv4+udp:53", network));
}

TEST_F(XdpHostNetwork, MayLoseAThousandPortsOfEachProtocolHoweverTheyAreWritten) {
  std::mt19937 random(7);
  unsigned spared = 0;
  for (int round = 0; round < 24; ++round) {
    std::vector<FlowRule> rules;
    for (unsigned count = 1 + random() % 4; count != 0; --count) {
      // Ranges and masks of a few hundred ports.
      const auto first = static_cast<std::uint16_t>(random() % 65000);
      std::vector<MatchItem> items =
          match::tcp().destination_port(first, static_cast<std::uint16_t>(first + random() % 900));
      if (random() % 2 == 0) put16(items[0].mask, 2, ~(random() & 0x0123U) & 0xFFFFU);
      if (random() % 4 == 0) items[0].last.clear();
      FlowRule rule{.match = items, .action = random() % 2 == 0 ? to_port() : to_drop()};
      if (check_rule(rule)) rules.push_back(rule);
    }
    const unsigned ports = taken(rules, ipv4(6), 36);
    EXPECT_EQ(taken(rules, ipv6(6), 56), ports);
    const bool is_spared = xdp::spares_host(placed(rules), host());
    EXPECT_EQ(is_spared, ports <= xdp::kMostPorts) << ports;
    spared += is_spared ? 1U : 0U;
  }
  EXPECT_GT(spared, 0U);
  EXPECT_LT(spared, 24U);
}

TEST_F(XdpHostNetwork, LosesNoFrameOfItsOwnTypes) {
  std::mt19937 random(8);
  const std::array<unsigned, 9> own{0x0026, 0x05FF, 0x0800, 0x0806, 0x86DD, 0x8847, 0x8864, 0x888E, 0x88CC};
  unsigned spared = 0;
  for (int round = 0; round < 1000; ++round) {
    // Of a type that is the host's, or beside it, some bits are not compared, or it begins a range.
    std::vector<MatchItem> items =
        match::eth().type(static_cast<std::uint16_t>(own[random() % own.size()] + random() % 3));
    put16(items[0].mask, 12, ~(random() & random() & random()) & 0xFFFFU);
    if (random() % 4 == 0) {
      items[0].last.resize(14);
      put16(items[0].last, 12, 0xFFFF);
    }
    const FlowRule rule{.match = items, .action = to_port()};
    if (!check_rule(rule)) continue;
    const bool takes_own =
        std::ranges::any_of(own, [&](unsigned type) { return takes({rule}, *make_mbuf(ethernet(type))); });
    EXPECT_FALSE(takes_own && xdp::spares_host(placed({rule}), host()));
    spared += xdp::spares_host(placed({rule}), host()) ? 1U : 0U;
  }
  EXPECT_GT(spared, 10U);
}

TEST_F(XdpHostNetwork, LosesNothingByAnyRulesThatSpareIt) {
  const std::vector<Bytes> frames{ethernet(0x0806), ethernet(0x0026),          ethernet(0x8809), ipv4(1), ipv4(2),
                                  ipv4(50),         ipv4(17, {10, 9, 0, 255}), ipv6(58),         ipv6(0)};
  std::mt19937 random(9);
  unsigned spared = 0;
  for (int round = 0; round < 5000; ++round) {
    // Items of the frames' own bytes, under any mask.
    const Bytes& frame = frames[random() % frames.size()];
    FlowRule rule{.match = {}, .action = to_port()};
    const auto add = [&](MatchProtocol protocol, std::size_t at, std::size_t bytes) {
      if (at + bytes > frame.size()) return;
      MatchItem item{.protocol = protocol};
      item.spec.assign(&frame[at], &frame[at] + bytes);
      item.mask.resize(bytes);
      for (auto& byte : item.mask) byte = random() % 2 == 0 ? 0 : static_cast<std::uint8_t>(random() | random());
      if (random() % 3 == 0) item.spec[random() % bytes] ^= static_cast<std::uint8_t>(1U << random() % 8);
      rule.match.push_back(std::move(item));
    };
    if (random() % 2 == 0) add(MatchProtocol::eth, 0, 14);
    if (random() % 2 == 0) add(MatchProtocol::ipv4, 14, 20);
    if (random() % 4 == 0) add(MatchProtocol::udp, 34, 8);
    if (random() % 4 == 0) add(MatchProtocol::raw, 0, 1 + random() % 16);
    if (!check_rule(rule) || !xdp::spares_host(placed({rule}), host())) continue;
    ++spared;
    for (const Bytes& one : frames) {
      const bool has_port = one[23] == 17;
      EXPECT_FALSE(!has_port && takes({rule}, *make_mbuf(one)));
    }
  }
  EXPECT_GT(spared, 100U);
}

/// With interfaces and routes of the kernel.
class XdpDefaultRoute : public XdpPort {
 protected:
  static void shell(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }
  static std::string route_over(const char* name) {
    return xdp::host_network(must(xdp::Interface::find(name)).index()).default_route;
  }
  void SetUp() override {
    XdpPort::SetUp();
    if (IsSkipped()) return;
    shell("ip addr add 10.9.0.1/24 dev plxu0 && ip addr add 10.9.1.1/24 dev plxu1");
    has_addresses_ = true;
  }
  void TearDown() override {
    if (has_addresses_) shell("ip addr flush dev plxu0 && ip addr flush dev plxu1");
  }

  bool has_addresses_ = false;
};

TEST_F(XdpDefaultRoute, IsFoundInAnyFormAndTable) {
  ASSERT_EQ(route_over("plxu0"), "");
  for (const char* route :
       {"default via 10.9.0.2", "0.0.0.0/1 via 10.9.0.2", "128.0.0.0/1 via 10.9.0.2", "default via 10.9.0.2 table 100",
        "default nexthop via 10.9.1.2 nexthop via 10.9.0.2", "64.0.0.0/2 dev plxu0 table 7"}) {
    shell(fmt::format("ip route add {}", route));
    EXPECT_EQ(route_over("plxu0"), "plxu0") << route;
    EXPECT_EQ(route_over("lo"), "") << route;
    shell(fmt::format("ip route del {}", route));
  }
  shell("ip route add unreachable default && ip route add 11.0.0.0/8 via 10.9.0.2");
  EXPECT_EQ(route_over("plxu0"), "");
  shell("ip route del unreachable default && ip route del 11.0.0.0/8");
}

TEST_F(XdpDefaultRoute, IsFoundBehindANextHopObject) {
  if (std::system("ip nexthop add id 7 via 10.9.0.2 dev plxu0 2>/dev/null") != 0) GTEST_SKIP() << "no next hop objects";
  shell("ip route add default nhid 7");
  EXPECT_EQ(route_over("plxu0"), "plxu0");
  shell("ip route del default && ip nexthop del id 7");
}

TEST_F(XdpDefaultRoute, OfIpv6IsFoundInAnyForm) {
  if (!std::filesystem::exists("/proc/sys/net/ipv6")) GTEST_SKIP() << "the kernel has no IPv6";
  shell("sysctl -qw net.ipv6.conf.plxu0.disable_ipv6=0 && ip -6 addr add fd09::1/64 dev plxu0 nodad");
  EXPECT_EQ(route_over("plxu0"), "");
  for (const char* route : {"default", "::/1", "8000::/1", "2000::/3", "default table 100"}) {
    shell(fmt::format("ip -6 route add {} via fd09::2 dev plxu0", route));
    EXPECT_EQ(route_over("plxu0"), "plxu0") << route;
    shell(fmt::format("ip -6 route del {} via fd09::2 dev plxu0", route));
  }
  shell("ip -6 addr flush dev plxu0");
}

TEST_F(XdpDefaultRoute, TheAddressesOfTheHostAreItsOwn) {
  shell("ip route add default via 10.9.0.2 && ip route add local 10.50.0.0/16 dev lo");
  const HostNetwork host = xdp::host_network(must(xdp::Interface::find("plxu0")).index());
  const auto spares = [&](const char* rules) {
    return xdp::spares_host(placed(must(xdp::parse_rules(rules, "here"))), host);
  };
  EXPECT_FALSE(host.is_tagged);
  for (const char* own : {"to:10.9.0.1", "to:10.9.1.1", "to:10.9.0.255", "to:10.50.3.0/24"})
    EXPECT_FALSE(spares(own)) << own;
  EXPECT_TRUE(spares("to:10.9.0.2"));
  shell("ip route del default && ip route del local 10.50.0.0/16 dev lo");
}

TEST_F(XdpDefaultRoute, OverABridgeMayBeTagged) {
  shell(
      "ip link add plxb type bridge && ip link set plxu0 master plxb && ip addr add 10.9.7.1/24 dev plxb && "
      "ip link set plxb up && ip route add default via 10.9.7.2");
  const HostNetwork host = xdp::host_network(must(xdp::Interface::find("plxu0")).index());
  EXPECT_EQ(host.default_route, "plxb");
  EXPECT_TRUE(host.is_tagged);
  EXPECT_EQ(route_over("plxu1"), "") << "the other end of the pair";
  shell("ip link del plxb");
}

}  // namespace
}  // namespace pollux::ports
