// SPDX-License-Identifier: BSD-3-Clause
#include "host/host_use.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include "fake_network.hpp"
#include "unit/pci/fake_machine.hpp"

namespace pollux::host {
namespace {

using test::host_with_port;
using test::prefix;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kPort = "0000:01:00.0";

/// A host with one namespace, in which the port is eth1 (number 2).
class HostUse : public testing::Test {
 protected:
  [[nodiscard]] std::vector<host::HostUse> found() const { return find_host_use(state, {kPort}); }
  [[nodiscard]] static std::string only_of(const std::vector<host::HostUse>& uses) {
    return uses.size() == 1 ? uses[0].interface + " " + uses[0].reason + " in " + uses[0].network_namespace
                            : std::to_string(uses.size()) + " reasons";
  }
  [[nodiscard]] std::string only_reason() const { return only_of(found()); }
  [[nodiscard]] std::vector<host::HostUse> lost() const { return find_losses(state, {kPort}); }
  NetworkNamespace& own() { return state.namespaces[0]; }
  NetworkNamespace& add_namespace(const std::string& name) {
    NetworkNamespace other;
    other.id = 2;
    other.name = "network namespace " + name;
    other.command_prefix = "ip netns exec " + name + " ";
    return state.namespaces.emplace_back(other);
  }

  NetworkState state = host_with_port(kPort);
};

TEST_F(HostUse, FindsNoneOnAnIdlePort) { EXPECT_THAT(found(), IsEmpty()); }

TEST_F(HostUse, LooksOnlyAtThePort) {
  own().links.push_back({.index = 3, .name = "eth2", .parent_device = "0000:02:00.0"});
  own().addresses.push_back({3, prefix("192.0.2.7/24")});
  own().routes.push_back({3, prefix("192.0.2.0/24")});
  EXPECT_THAT(found(), IsEmpty());
}

TEST_F(HostUse, FindsAGlobalAddress) {
  own().addresses.push_back({2, prefix("192.0.2.7/24")});
  EXPECT_EQ(only_reason(), "eth1 has the address 192.0.2.7/24 in this network namespace");
  EXPECT_EQ(found()[0].remedy, "ip address del 192.0.2.7/24 dev eth1");
}

TEST_F(HostUse, QuotesNamesInCommands) {
  own().links[1].name = "a;$(id)";
  own().links[1].master = 9;
  own().addresses.push_back({2, prefix("192.0.2.7/24")});
  own().routes.push_back({.link = 2, .destination = prefix("198.51.100.0/24"), .table = 254});
  own().links.push_back({.index = 5, .name = "t|id", .kind = "macvtap", .lower = 2});
  std::vector<std::string> remedies;
  for (const host::HostUse& use : found()) remedies.push_back(use.remedy);
  EXPECT_THAT(remedies, testing::UnorderedElementsAre(
                            "ip link set 'a;$(id)' nomaster", "ip address del 192.0.2.7/24 dev 'a;$(id)'",
                            "ip route del 198.51.100.0/24 dev 'a;$(id)' table 254", "ip link del 't|id'"));
}

TEST_F(HostUse, FindsAGlobalIpv6Address) {
  own().addresses.push_back({2, prefix("2001:db8::7/64")});
  EXPECT_EQ(only_reason(), "eth1 has the address 2001:db8::7/64 in this network namespace");
}

TEST_F(HostUse, ToleratesLinkLocalAddressesAndTheirRoutes) {
  own().addresses = {{2, prefix("fe80::1/64")}, {2, prefix("febf::1/64")}, {2, prefix("169.254.3.4/16")}};
  own().routes = {{2, prefix("fe80::/64")},
                  {2, prefix("ff00::/8")},
                  {2, prefix("169.254.0.0/16")},
                  {.link = 2, .destination = prefix("169.254.3.4/32"), .table = RT_TABLE_LOCAL},
                  {.link = 2, .destination = prefix("169.254.255.255/32"), .unicast = false}};
  EXPECT_THAT(found(), IsEmpty());
}

TEST_F(HostUse, DistinguishesNeighboursOfTheLinkLocalRanges) {
  own().addresses = {{2, prefix("fec0::1/64")}, {2, prefix("169.253.0.1/16")}, {2, prefix("169.255.0.1/16")}};
  EXPECT_EQ(found().size(), 3U);
}

TEST_F(HostUse, ToleratesHostScope) {
  own().addresses.push_back({2, prefix("10.0.0.1/32"), true});
  EXPECT_THAT(found(), IsEmpty());
}

TEST_F(HostUse, FindsRoutes) {
  own().routes = {{.link = 2, .destination = prefix("0.0.0.0/0"), .has_gateway = true, .table = 254}};
  EXPECT_EQ(only_reason(), "eth1 carries the route default in this network namespace");
  EXPECT_EQ(found()[0].remedy, "ip route del default dev eth1 table 254");
  own().routes = {{.link = 2, .destination = prefix("2001:db8::/32"), .table = 7}};
  EXPECT_EQ(found()[0].remedy, "ip -6 route del 2001:db8::/32 dev eth1 table 7");
}

TEST_F(HostUse, CountsTheRouteThatComesWithAnAddressOnce) {
  own().addresses = {{2, prefix("192.0.2.7/25")}};
  own().routes = {{.link = 2, .destination = prefix("192.0.2.0/25"), .table = 254}};
  EXPECT_EQ(only_reason(), "eth1 has the address 192.0.2.7/25 in this network namespace");
  for (const char* other : {"192.0.2.128/25", "192.0.2.0/24", "192.0.3.0/25", "c000:200::/25"}) {
    own().routes[0].destination = prefix(other);
    EXPECT_EQ(found().size(), 2U) << other;
  }
  own().routes[0] = {.link = 2, .destination = prefix("192.0.2.0/25"), .has_gateway = true, .table = 254};
  EXPECT_EQ(found().size(), 2U);
}

TEST_F(HostUse, FindsAnAddedLinkLocalRoute) {
  own().routes = {{.link = 2, .destination = prefix("169.254.169.254/32"), .has_gateway = true, .table = 254}};
  EXPECT_EQ(found().size(), 1U);
}

TEST_F(HostUse, FindsAnAddedMulticastRoute) {
  own().routes = {{.link = 2, .destination = prefix("224.0.0.0/4"), .table = 254}};
  EXPECT_EQ(found().size(), 1U);
}

class HostUseMaster : public HostUse, public testing::WithParamInterface<const char*> {};

TEST_P(HostUseMaster, IsFound) {
  own().links[1].master = 9;
  own().links.push_back({.index = 9, .name = "top0", .kind = GetParam()});
  EXPECT_EQ(only_reason(), std::string("eth1 is a member of the ") + GetParam() + " top0 in this network namespace");
  EXPECT_EQ(found()[0].remedy, "ip link set eth1 nomaster");
}

INSTANTIATE_TEST_SUITE_P(, HostUseMaster, testing::Values("bridge", "bond", "team", "openvswitch"));

TEST_F(HostUse, FindsAMasterThatIsNotListed) {
  own().links[1].master = 9;
  EXPECT_EQ(only_reason(), "eth1 is a member of the interface 9 in this network namespace");
}

TEST_F(HostUse, ChecksTheAddressesAndRoutesOfAVrfMember) {
  own().links[1].master = 9;
  own().links.push_back({.index = 9, .name = "vrf0", .kind = "vrf"});
  EXPECT_THAT(found(), IsEmpty());
  own().routes.push_back({.link = 2, .destination = prefix("192.0.2.0/24"), .table = 1000});
  EXPECT_EQ(found().size(), 1U);
}

TEST_F(HostUse, FollowsVlans) {
  own().links.push_back({.index = 5, .name = "eth1.7", .kind = "vlan", .lower = 2});
  EXPECT_THAT(found(), IsEmpty());
  own().addresses.push_back({5, prefix("192.0.2.7/24")});
  EXPECT_EQ(only_reason(), "eth1.7 has the address 192.0.2.7/24 in this network namespace");
}

TEST_F(HostUse, FollowsAStackIntoABridge) {
  own().links.push_back({.index = 5, .name = "eth1.7", .kind = "vlan", .lower = 2});
  own().links.push_back({.index = 6, .name = "mac0", .kind = "macvlan", .master = 9, .lower = 5});
  own().links.push_back({.index = 9, .name = "br0", .kind = "bridge"});
  EXPECT_EQ(only_reason(), "mac0 is a member of the bridge br0 in this network namespace");
}

class HostUseTap : public HostUse, public testing::WithParamInterface<const char*> {};

TEST_P(HostUseTap, OfAVirtualMachineIsFound) {
  own().links.push_back({.index = 5, .name = "tap5", .kind = GetParam(), .lower = 2});
  ASSERT_EQ(only_reason(), "tap5 is used by a virtual machine in this network namespace");
  EXPECT_EQ(found()[0].remedy, "ip link del tap5");
}

INSTANTIATE_TEST_SUITE_P(, HostUseTap, testing::Values("macvtap", "ipvtap"));

TEST_F(HostUse, FindsAPppoeSession) {
  own().links.push_back({.index = 5, .name = "eth1.7", .kind = "vlan", .lower = 2});
  own().pppoe = {"eth2", "eth1.7"};
  EXPECT_EQ(only_reason(), "eth1.7 carries a PPPoE session in this network namespace");
}

TEST_F(HostUse, FindsThePortInAnotherNamespace) {
  own().links.pop_back();
  auto& blue = add_namespace("blue");
  blue.links.push_back({.index = 2, .name = "eth0", .parent_device = kPort});
  ASSERT_EQ(only_reason(), "eth0 lies in network namespace blue") << "it would come back in this namespace";
  EXPECT_EQ(found()[0].remedy, "ip netns exec blue ip link set eth0 netns 1");
  blue.addresses.push_back({2, prefix("192.0.2.7/24")});
  ASSERT_EQ(found().size(), 2U);
  EXPECT_EQ(found()[1].reason, "has the address 192.0.2.7/24");
  EXPECT_EQ(found()[1].remedy, "ip netns exec blue ip address del 192.0.2.7/24 dev eth0");
}

TEST_F(HostUse, FollowsAnUpperThatWasMovedIntoAnotherNamespace) {
  auto& blue = add_namespace("blue");
  blue.links.push_back({.index = 4, .name = "mac0", .kind = "macvlan", .lower = 2, .lower_namespace = 1});
  blue.addresses.push_back({4, prefix("192.0.2.7/24")});
  EXPECT_EQ(only_reason(), "mac0 has the address 192.0.2.7/24 in network namespace blue");
}

TEST_F(HostUse, DistinguishesNumbersOfDifferentNamespaces) {
  auto& blue = add_namespace("blue");
  blue.links.push_back({.index = 2, .name = "dummy0", .kind = "dummy"});
  blue.links.push_back({.index = 4, .name = "vlan0", .kind = "vlan", .lower = 2});
  blue.links.push_back(
      {.index = 5, .name = "mac0", .kind = "macvlan", .lower = 2, .lower_namespace = NetworkLink::kUnknownNamespace});
  blue.addresses = {{2, prefix("192.0.2.7/24")}, {4, prefix("192.0.2.8/24")}, {5, prefix("192.0.2.9/24")}};
  EXPECT_THAT(found(), IsEmpty());
}

TEST_F(HostUse, CountsTcpConnections) {
  own().addresses = {{2, prefix("fe80::7/64")}, {2, prefix("169.254.3.4/16")}};
  own().connections = {prefix("192.0.2.9/32"), prefix("fe80::8/128")};
  EXPECT_THAT(found(), IsEmpty()) << "they are of other addresses";
  own().connections.push_back(prefix("fe80::7/128"));
  ASSERT_EQ(only_reason(), "eth1 carries 1 TCP connection in this network namespace");
  EXPECT_EQ(found()[0].remedy, "");
  own().connections.push_back(prefix("169.254.3.4/32"));
  EXPECT_EQ(only_reason(), "eth1 carries 2 TCP connections in this network namespace");
}

TEST_F(HostUse, LeavesOutConnectionsOfTheSameAddressInAnotherNamespace) {
  own().addresses = {{2, prefix("fe80::7/64")}};
  add_namespace("blue").connections = {prefix("fe80::7/128")};
  EXPECT_THAT(found(), IsEmpty());
}

TEST_F(HostUse, FindsTheUsersOwnSshSession) {
  own().addresses = {{2, prefix("fe80::7/64")}};
  state.ssh_session = prefix("fe80::8/128");
  EXPECT_THAT(found(), IsEmpty());
  state.ssh_session = prefix("fe80::7/128");
  EXPECT_EQ(only_reason(), "eth1 carries your own ssh session in this network namespace");
}

TEST_F(HostUse, IsNoLossIfItComesBack) {
  own().addresses.push_back({2, prefix("192.0.2.7/24")});
  own().routes = {{.link = 2, .destination = prefix("0.0.0.0/0"), .has_gateway = true, .table = 254}};
  EXPECT_EQ(found().size(), 2U);
  EXPECT_THAT(lost(), IsEmpty());
}

TEST_F(HostUse, IsLostInPartWithABridgeOrAConnection) {
  own().links[1].master = 9;
  own().links.push_back({.index = 9, .name = "br0", .kind = "bridge"});
  ASSERT_EQ(only_of(lost()), "eth1 is a member of the bridge br0 in this network namespace");
  EXPECT_EQ(lost()[0].restored, Restored::partly);
  own().links[1].master = 0;
  own().addresses.push_back({2, prefix("192.0.2.7/24")});
  own().connections = {prefix("192.0.2.7/32")};
  ASSERT_EQ(only_of(lost()), "eth1 carries 1 TCP connection in this network namespace");
  EXPECT_EQ(lost()[0].restored, Restored::partly);
}

TEST_F(HostUse, IsLostWithAStackedInterfaceAlsoAnIdleOne) {
  own().links.push_back({.index = 5, .name = "eth1.7", .kind = "vlan", .lower = 2});
  ASSERT_EQ(only_of(lost()), "eth1.7 is stacked on eth1 in this network namespace");
  EXPECT_EQ(lost()[0].restored, Restored::not_at_all);
  EXPECT_EQ(lost()[0].remedy, "ip link del eth1.7");
  own().addresses.push_back({5, prefix("192.0.2.7/24")});
  EXPECT_EQ(lost().size(), 1U) << "it goes with its addresses";
  ASSERT_EQ(found().size(), 1U);
  EXPECT_EQ(found()[0].restored, Restored::not_at_all);
}

TEST_F(HostUse, IsLostWithAPppoeSession) {
  own().pppoe = {"eth1"};
  ASSERT_EQ(only_of(lost()), "eth1 carries a PPPoE session in this network namespace");
  EXPECT_EQ(lost()[0].restored, Restored::not_at_all);
}

TEST_F(HostUse, IsLostInAnotherNamespace) {
  own().links.pop_back();
  auto& blue = add_namespace("blue");
  blue.links.push_back({.index = 2, .name = "eth0", .parent_device = kPort});
  blue.addresses.push_back({2, prefix("192.0.2.7/24")});
  ASSERT_EQ(lost().size(), 2U);
  for (const auto& use : lost()) EXPECT_EQ(use.restored, Restored::not_at_all) << use.reason;
}

TEST_F(HostUse, EndsOnInterfacesThatAreStackedInACycle) {
  own().links[1].lower = 5;
  own().links.push_back({.index = 5, .name = "odd", .lower = 2});
  EXPECT_THAT(found(), IsEmpty());
}

TEST_F(HostUse, RecognisesAPortByItsVirtioName) {
  pci::test::FakeMachine machine;
  const pci::Address address = machine.add({.address = kPort, .driver = "virtio-pci"});
  std::filesystem::create_directories(machine.device(address) / "virtio3/net/eth1");
  EXPECT_THAT(bus_names(machine.paths, address), testing::ElementsAre(kPort, "virtio3"));
  state = host_with_port("virtio3");
  own().addresses.push_back({2, prefix("192.0.2.7/24")});
  EXPECT_FALSE(check_unused(machine.paths, state, address));
}

TEST_F(HostUse, BecomesAnErrorWithReasonInterfaceNamespaceAndRemedy) {
  pci::test::FakeMachine machine;
  const pci::Address address = machine.add({.address = kPort});
  EXPECT_TRUE(check_unused(machine.paths, state, address));
  own().addresses.push_back({2, prefix("192.0.2.7/24")});
  own().routes.push_back({.link = 2, .destination = prefix("0.0.0.0/0"), .has_gateway = true, .table = 254});
  const auto checked = check_unused(machine.paths, state, address);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::in_use_by_host);
  EXPECT_THAT(checked.error().what, AllOf(HasSubstr(kPort), HasSubstr("eth1 has the address 192.0.2.7/24"),
                                          HasSubstr("carries the route default"), HasSubstr("this network namespace")));
  EXPECT_THAT(checked.error().hint, AllOf(HasSubstr("ip address del 192.0.2.7/24 dev eth1"), HasSubstr("--force")));
}

TEST_F(HostUse, WithoutARemedyBecomesAnErrorThatNamesForce) {
  pci::test::FakeMachine machine;
  const pci::Address address = machine.add({.address = kPort});
  own().addresses = {{2, prefix("fe80::7/64")}};
  own().connections = {prefix("fe80::7/128")};
  const auto checked = check_unused(machine.paths, state, address);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().hint, "if the host does not need it, bind with --force");
}

TEST_F(HostUse, LimitsTheNumberOfReasons) {
  pci::test::FakeMachine machine;
  const pci::Address address = machine.add({.address = kPort});
  for (int i = 1; i <= 50; ++i) own().addresses.push_back({2, prefix("192.0.2." + std::to_string(i) + "/24")});
  const auto checked = check_unused(machine.paths, state, address);
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().what, HasSubstr("and 44 more"));
  EXPECT_THAT(checked.error().what, HasSubstr("192.0.2.6/24"));
  EXPECT_THAT(checked.error().what, testing::Not(HasSubstr("192.0.2.7/24")));
  EXPECT_THAT(checked.error().hint, testing::Not(HasSubstr("192.0.2.7/24")));
}

}  // namespace
}  // namespace pollux::host
