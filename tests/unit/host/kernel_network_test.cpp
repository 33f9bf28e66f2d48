// SPDX-License-Identifier: BSD-3-Clause
// Tests with the real kernel, in network namespaces that the test creates. They need root and the `ip` command.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "host/host_use.hpp"
#include "host/network_state.hpp"
#include "unit/pci/fake_machine.hpp"

namespace pollux::host {
namespace {

const NetworkLink* find_link(const NetworkNamespace& where, const std::string& name) {
  const auto found =
      std::find_if(where.links.begin(), where.links.end(), [&](const auto& link) { return link.name == name; });
  return found == where.links.end() ? nullptr : &*found;
}

std::vector<std::string> addresses_of(const NetworkNamespace& where, const NetworkLink& link) {
  std::vector<std::string> texts;
  for (const LinkAddress& address : where.addresses) {
    if (address.link == link.index && !address.prefix.is_link_local()) texts.push_back(address.prefix.to_string());
  }
  return texts;
}

std::uint64_t own_namespace() {
  struct stat status {};
  return ::stat("/proc/thread-self/ns/net", &status) == 0 ? status.st_ino : 0;
}

/// Two namespaces with unique names. The destructor removes them.
class KernelNetworkFixture : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "network namespaces need root";
    if (!run("ip netns add " + blue) || !run("ip netns add " + red)) GTEST_SKIP() << "`ip netns` does not work here";
    ASSERT_TRUE(run("ip -n " + blue + " link show lo"))
        << "`ip -n` does not work here. From iproute2 6.15 on it needs \"/\" to be a mount point: for a chroot, "
           "`mount --bind TREE TREE` before entering it";
    ASSERT_TRUE(run("ip -n " + blue + " link add v0 type veth peer name v1 netns " + red));
  }
  void TearDown() override {
    run("ip netns del " + blue);
    run("ip netns del " + red);
  }
  static bool run(const std::string& command) { return std::system((command + " 2>/dev/null").c_str()) == 0; }
  static const NetworkNamespace* find(const NetworkState& state, const std::string& name) {
    for (const NetworkNamespace& where : state.namespaces) {
      if (where.name == "network namespace " + name) return &where;
    }
    return nullptr;
  }

  /// By a link from the test's own namespace, v2 there. It goes with that namespace.
  [[nodiscard]] bool connect(const std::string& other) const {
    return run("ip link add " + own_end + " type veth peer name v2 netns " + other);
  }

  const std::string own_end = "plx" + std::to_string(::getpid());
  const std::string blue = "plx-blue-" + std::to_string(::getpid());
  const std::string red = "plx-red-" + std::to_string(::getpid());
};

TEST(KernelNetwork, ReadsItsOwnNamespaceFirst) {
  const auto state = KernelNetwork().read();
  ASSERT_TRUE(state) << state.error().message();
  ASSERT_FALSE(state->namespaces.empty());
  EXPECT_EQ(state->namespaces[0].id, own_namespace());
  EXPECT_EQ(state->namespaces[0].name, "this network namespace");
  ASSERT_NE(find_link(state->namespaces[0], "lo"), nullptr);
}

TEST_F(KernelNetworkFixture, SeesLinksAddressesAndRoutesInOtherNamespaces) {
  ASSERT_TRUE(run("ip -n " + blue + " addr add 192.0.2.7/24 dev v0"));
  ASSERT_TRUE(run("ip -n " + blue + " addr add 2001:db8::7/64 dev v0 nodad"));
  ASSERT_TRUE(run("ip -n " + blue + " link set v0 up"));
  ASSERT_TRUE(run("ip -n " + red + " link set v1 up"));
  ASSERT_TRUE(connect(blue));
  ASSERT_TRUE(run("ip -n " + blue + " route add default via 192.0.2.1"));
  const std::uint64_t before = own_namespace();
  const auto state = KernelNetwork().read();
  ASSERT_TRUE(state) << state.error().message();
  EXPECT_EQ(own_namespace(), before);

  const NetworkNamespace* where = find(*state, blue);
  ASSERT_NE(where, nullptr);
  EXPECT_EQ(where->command_prefix, "ip netns exec " + blue + " ");
  const NetworkLink* link = find_link(*where, "v0");
  ASSERT_NE(link, nullptr);
  EXPECT_EQ(link->kind, "veth");
  EXPECT_THAT(addresses_of(*where, *link), testing::UnorderedElementsAre("192.0.2.7/24", "2001:db8::7/64"));
  const auto is_default = [&](const LinkRoute& route) {
    return route.link == link->index && route.destination.length == 0 && route.has_gateway && route.unicast &&
           !route.destination.v6;
  };
  EXPECT_TRUE(std::any_of(where->routes.begin(), where->routes.end(), is_default));
}

TEST_F(KernelNetworkFixture, ReadsTheLocalEndOfAPointToPointAddress) {
  ASSERT_TRUE(run("ip -n " + blue + " addr add 192.0.2.7 peer 198.51.100.1/32 dev v0"));
  ASSERT_TRUE(connect(blue));
  const auto state = KernelNetwork().read();
  ASSERT_TRUE(state) << state.error().message();
  const NetworkNamespace* where = find(*state, blue);
  ASSERT_NE(where, nullptr);
  EXPECT_THAT(addresses_of(*where, *find_link(*where, "v0")), testing::ElementsAre("192.0.2.7/32"));
}

// Somebody else may have a million of them.
TEST_F(KernelNetworkFixture, DoesNotReadAddressesAndRoutesWhereNoLinkLeadsToHardware) {
  ASSERT_TRUE(run("ip -n " + blue + " addr add 192.0.2.7/24 dev v0"));
  ASSERT_TRUE(run("ip -n " + blue + " link set v0 up"));
  const auto state = KernelNetwork().read();
  ASSERT_TRUE(state) << state.error().message();
  const NetworkNamespace* where = find(*state, blue);
  ASSERT_NE(where, nullptr);
  EXPECT_NE(find_link(*where, "v0"), nullptr);
  EXPECT_THAT(where->addresses, testing::IsEmpty());
  EXPECT_THAT(where->routes, testing::IsEmpty());
}

// They are followed from the test's own namespace, and from those with hardware.
TEST_F(KernelNetworkFixture, ResolvesLowerInterfacesInOtherNamespaces) {
  const auto apart = KernelNetwork().read();
  ASSERT_TRUE(apart);
  ASSERT_NE(find(*apart, blue), nullptr);
  EXPECT_EQ(find_link(*find(*apart, blue), "v0")->lower_namespace, NetworkLink::kUnknownNamespace);
  ASSERT_TRUE(connect(blue));
  const auto state = KernelNetwork().read();
  ASSERT_TRUE(state);
  const NetworkNamespace* here = find(*state, blue);
  const NetworkNamespace* there = find(*state, red);
  ASSERT_NE(here, nullptr);
  ASSERT_NE(there, nullptr);
  EXPECT_EQ(find_link(*here, "v0")->lower, find_link(*there, "v1")->index);
  EXPECT_EQ(find_link(*here, "v0")->lower_namespace, there->id);
  EXPECT_EQ(find_link(*there, "v1")->lower_namespace, here->id);
  EXPECT_EQ(find_link(*here, "v2")->lower_namespace, state->namespaces[0].id);
  EXPECT_EQ(find_link(state->namespaces[0], own_end)->lower_namespace, here->id);
}

TEST_F(KernelNetworkFixture, ReadsMembershipInABridge) {
  if (!run("ip -n " + blue + " link add br0 type bridge")) GTEST_SKIP() << "this kernel has no bridges";
  ASSERT_TRUE(run("ip -n " + blue + " link set v0 master br0"));
  const auto state = KernelNetwork().read();
  ASSERT_TRUE(state);
  const NetworkNamespace* where = find(*state, blue);
  ASSERT_NE(where, nullptr);
  EXPECT_EQ(find_link(*where, "br0")->kind, "bridge");
  EXPECT_EQ(find_link(*where, "v0")->master, find_link(*where, "br0")->index);
}

// Entries that the kernel adds automatically do not count as use; all others do.
TEST_F(KernelNetworkFixture, InterpretsTheRealTablesCorrectly) {
  ASSERT_TRUE(run("ip -n " + blue + " addr add 169.254.7.7/16 dev v0"));
  ASSERT_TRUE(connect(blue));
  ASSERT_TRUE(run("ip -n " + blue + " link set v0 up"));
  ASSERT_TRUE(run("ip -n " + red + " link set v1 up"));
  const auto uses = [&] {
    auto state = KernelNetwork().read().value();
    for (NetworkNamespace& where : state.namespaces) {
      for (NetworkLink& link : where.links) {
        if (where.name == "network namespace " + blue && link.name == "v0") link.parent_device = "0000:01:00.0";
      }
    }
    return find_host_use(state, {"0000:01:00.0"});
  };
  ASSERT_EQ(uses().size(), 1U);
  EXPECT_EQ(uses()[0].reason, "lies") << "in another namespace";
  ASSERT_TRUE(run("ip -n " + blue + " -6 route add 2001:db8::/64 dev v0"));
  EXPECT_EQ(uses().size(), 2U);
  ASSERT_TRUE(run("ip -n " + blue + " route add 198.51.100.0/24 nexthop dev v0 nexthop dev lo") ||
              run("ip -n " + blue + " route add 198.51.100.0/24 dev v0"));
  EXPECT_EQ(uses().size(), 3U);
}

TEST_F(KernelNetworkFixture, SeesANamespaceThatOnlyAProcessHolds) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    char byte = ::unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
    ::close(pipe_ends[1]);
    if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
    (void)!::read(pipe_ends[0], &byte, 1);  // until the test closes its end
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  const auto state = KernelNetwork().read();
  for (const int end : {pipe_ends[0], pipe_ends[1], ready[0], ready[1]}) ::close(end);
  ASSERT_EQ(answer, 'y');
  ASSERT_TRUE(state);
  const std::string wanted = "the network namespace of process " + std::to_string(child);
  EXPECT_TRUE(std::any_of(state->namespaces.begin(), state->namespaces.end(),
                          [&](const auto& where) { return where.name.starts_with(wanted); }));
  ::waitpid(child, nullptr, 0);
}

TEST(KernelNetworkFiles, NameTheInterfacesOfPppoeSessions) {
  pci::test::FakeMachine machine;
  machine.write(machine.paths.proc / "thread-self/net/pppoe",
                "Id       Address              Device\n"
                "00000100 02:00:00:00:00:07     eth1\n"
                "ABCD0200 02:00:00:00:00:08   eth1.7\n");
  const auto state = KernelNetwork(machine.paths).read();
  ASSERT_TRUE(state) << state.error().message();
  EXPECT_THAT(state->namespaces[0].pppoe, testing::ElementsAre("eth1", "eth1.7"));
}

TEST(KernelNetworkFiles, NameTheLocalAddressesOfTcpConnections) {
  pci::test::FakeMachine machine;
  const std::string title = "  sl  local_address rem_address   st tx_queue rx_queue\n";
  const std::string remote = " 036433C6:9C40";
  machine.write(machine.paths.proc / "thread-self/net/tcp",
                title + "   0: 070200C0:0016" + remote + " 01 00000000:00000000 00:00000000 00000000 0 0 1 1 0\n" +
                    "   1: 080200C0:0016" + remote + " 0A 00000000:00000000\n" +  // it listens
                    "   2: 09:0016" + remote + " 01\n");
  machine.write(machine.paths.proc / "thread-self/net/tcp6",
                title + "   0: B80D0120000000000000000007000000:0016 0:0 01\n" +
                    "   1: 0000000000000000FFFF0000090200C0:0016 0:0 01\n");
  const auto state = KernelNetwork(machine.paths).read();
  ASSERT_TRUE(state) << state.error().message();
  std::vector<std::string> texts;
  for (const IpPrefix& local : state->namespaces[0].connections) texts.push_back(local.to_string());
  EXPECT_THAT(texts, testing::ElementsAre("192.0.2.7/32", "2001:db8::7/128", "192.0.2.9/32"));
}

TEST(KernelNetworkFiles, NameTheSshSessionAlsoBehindSudo) {
  pci::test::FakeMachine machine;
  const auto session = [&] { return KernelNetwork(machine.paths).read().value().ssh_session; };
  using std::string_literals::operator""s;
  machine.write(machine.paths.proc / "self/environ", "TERM=xterm\0SUDO_UID=1000\0"s);
  machine.write(machine.paths.proc / "self/status", "Name:\tpollux\nPPid:\t42\nUid:\t0\n");
  EXPECT_FALSE(session());
  machine.write(machine.paths.proc / "42/status", "Name:\tbash\nPPid:\t0\n");
  machine.write(machine.paths.proc / "42/environ", "A=b\0SSH_CONNECTION=198.51.100.3 40000 192.0.2.7 22\0"s);
  ASSERT_TRUE(session());
  EXPECT_EQ(session()->to_string(), "192.0.2.7/32");
  machine.write(machine.paths.proc / "42/environ", "SSH_CONNECTION=fe80::3%eth1 40000 fe80::7%eth1 22\0"s);
  ASSERT_TRUE(session());
  EXPECT_EQ(session()->to_string(), "fe80::7/128");
  machine.write(machine.paths.proc / "42/environ", "SSH_CONNECTION=nonsense\0"s);
  EXPECT_FALSE(session());
  machine.write(machine.paths.proc / "42/status", "Name:\tbash\nPPid:\t42\n");
  EXPECT_FALSE(session()) << "the search for it ends";
}

}  // namespace
}  // namespace pollux::host
