// SPDX-License-Identifier: BSD-3-Clause
// Saves and restores an interface of the real kernel, in a network namespace of the test's own thread.
#include "pollux/host/interface_backup.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

namespace pollux::host {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

bool ip(const std::string& words) { return std::system(("ip " + words + " 2>/dev/null").c_str()) == 0; }

std::string output(const std::string& command) {
  std::string text;
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  std::array<char, 512> part{};
  while (::fgets(part.data(), part.size(), pipe) != nullptr) text += part.data();
  ::pclose(pipe);
  return text;
}

/// Runs `body` in a new network namespace, which ends with it.
void in_own_namespace(const std::function<void()>& body) {
  bool entered = false;
  std::thread thread([&] {
    entered = ::unshare(CLONE_NEWNET) == 0;
    if (entered) body();
  });
  thread.join();
  if (!entered) GTEST_SKIP() << "network namespaces need root";
}

/// The interface w0, with all that can be restored.
void make_interface() {
  ASSERT_TRUE(ip("link add w0 type veth peer name w1"));
  ASSERT_TRUE(ip("link set w1 up"));
  ASSERT_TRUE(ip("link set w0 address 02:00:00:00:00:07 mtu 1400 up"));
  ASSERT_TRUE(ip("addr add 192.0.2.7/24 dev w0"));
  ASSERT_TRUE(ip("addr add 2001:db8::7/64 dev w0 nodad"));
  ASSERT_TRUE(ip("route add default via 192.0.2.1 metric 50"));
  ASSERT_TRUE(ip("route add 198.51.100.0/24 dev w0 table 77"));
  ASSERT_TRUE(ip("-6 route add default via 2001:db8::1"));
}

std::string shown() { return output("ip addr show w0; ip route show table all; ip -6 route show"); }

TEST(InterfaceBackup, RestoresAnInterfaceThatWasMadeAgain) {
  in_own_namespace([] {
    make_interface();
    const auto backup = back_up_interface("w0");
    ASSERT_TRUE(backup) << backup.error().message();
    ASSERT_TRUE(ip("link del w0"));
    ASSERT_TRUE(ip("link add x0 type veth peer name x1")) << "so that the index differs";
    ASSERT_TRUE(ip("link add new0 type veth peer name w1"));
    ASSERT_TRUE(ip("link set w1 up"));
    ASSERT_THAT(shown(), Not(HasSubstr("192.0.2.7")));
    for (int time = 0; time < 2; ++time) {
      const auto restored = restore_interface(*backup, time == 0 ? "new0" : "w0");
      ASSERT_TRUE(restored) << restored.error().message();
      EXPECT_THAT(shown(),
                  AllOf(HasSubstr("02:00:00:00:00:07"), HasSubstr("mtu 1400"), HasSubstr("192.0.2.7/24"),
                        HasSubstr("2001:db8::7/64"), HasSubstr("default via 192.0.2.1 dev w0 metric 50"),
                        HasSubstr("198.51.100.0/24 dev w0 table 77"), HasSubstr("default via 2001:db8::1 dev w0")));
    }
  });
}

TEST(InterfaceBackup, RestoresAnAddressWithItsProperties) {
  in_own_namespace([] {
    ASSERT_TRUE(ip("link add w0 type veth peer name w1"));
    ASSERT_TRUE(ip("link set w0 up"));
    ASSERT_TRUE(
        ip("addr add 192.0.2.7/24 broadcast 192.0.2.254 dev w0 label w0:x scope site noprefixroute valid_lft 900 "
           "preferred_lft 800"));
    const auto backup = back_up_interface("w0");
    ASSERT_TRUE(backup) << backup.error().message();
    ASSERT_TRUE(ip("link del w0"));
    ASSERT_TRUE(ip("link add new0 type veth peer name w1"));
    ASSERT_TRUE(restore_interface(*backup, "new0"));
    EXPECT_THAT(output("ip -4 addr show w0"),
                AllOf(HasSubstr("inet 192.0.2.7/24 brd 192.0.2.254 scope site dynamic noprefixroute w0:x"),
                      testing::ContainsRegex("valid_lft (900|89.)sec preferred_lft (800|79.)sec")));
  });
}

/// Another interface has taken the default routes over meanwhile.
TEST(InterfaceBackup, LeavesTheRoutesOfOtherInterfacesAlone) {
  in_own_namespace([] {
    make_interface();
    const auto backup = back_up_interface("w0");
    ASSERT_TRUE(backup) << backup.error().message();
    ASSERT_TRUE(ip("link del w0"));
    ASSERT_TRUE(ip("link add w2 type veth peer name w3"));
    ASSERT_TRUE(ip("link set w3 up") && ip("link set w2 up"));
    ASSERT_TRUE(ip("addr add 203.0.113.9/24 dev w2") && ip("addr add 2001:db8:9::9/64 dev w2 nodad"));
    ASSERT_TRUE(ip("route add default via 203.0.113.1 metric 50"));
    ASSERT_TRUE(ip("-6 route add default via 2001:db8:9::1"));
    ASSERT_TRUE(ip("link add w0 type veth peer name w1"));
    ASSERT_TRUE(ip("link set w1 up"));
    for (int time = 0; time < 2; ++time) {
      const auto restored = restore_interface(*backup, "w0");
      ASSERT_TRUE(restored) << restored.error().message();
      EXPECT_THAT(shown(),
                  AllOf(HasSubstr("default via 203.0.113.1 dev w2 metric 50"), HasSubstr("via 2001:db8:9::1 dev w2"),
                        HasSubstr("default via 192.0.2.1 dev w0 metric 50"), HasSubstr("via 2001:db8::1 dev w0")));
      EXPECT_THAT(output("ip route get 198.51.101.1"), HasSubstr("dev w2"));
    }
  });
}

TEST(InterfaceBackup, RestoresItsNextHopsOfARouteThatItShares) {
  in_own_namespace([] {
    make_interface();
    ASSERT_TRUE(ip("link add w2 type veth peer name w3"));
    ASSERT_TRUE(ip("link set w3 up") && ip("link set w2 up"));
    ASSERT_TRUE(ip("addr add 2001:db8:9::9/64 dev w2 nodad"));
    ASSERT_TRUE(
        ip("-6 route add 2001:db8:7::/48 nexthop via 2001:db8::2 dev w0 nexthop via 2001:db8::3 dev w0 "
           "nexthop via 2001:db8:9::2 dev w2"));
    const auto backup = back_up_interface("w0");
    ASSERT_TRUE(backup);
    ASSERT_TRUE(ip("link del w0"));
    ASSERT_TRUE(ip("link add w0 type veth peer name w1"));
    ASSERT_TRUE(ip("link set w1 up"));
    for (int time = 0; time < 2; ++time) {
      const auto restored = restore_interface(*backup, "w0");
      ASSERT_TRUE(restored) << restored.error().message();
      EXPECT_THAT(output("ip -6 route show 2001:db8:7::/48"),
                  AllOf(HasSubstr("via 2001:db8::2 dev w0"), HasSubstr("via 2001:db8::3 dev w0"),
                        HasSubstr("via 2001:db8:9::2 dev w2")));
    }
  });
}

TEST(InterfaceBackup, LeavesOutRoutesThatARouterAnnouncesForATime) {
  in_own_namespace([] {
    make_interface();
    ASSERT_TRUE(ip("-6 route add 2001:db8:5::/48 via 2001:db8::1 proto ra expires 600"));
    ASSERT_TRUE(ip("-6 route add 2001:db8:6::/48 via 2001:db8::1 proto ra"));
    const auto backup = back_up_interface("w0");
    ASSERT_TRUE(backup);
    ASSERT_TRUE(ip("-6 route del 2001:db8:5::/48") && ip("-6 route del 2001:db8:6::/48"));
    ASSERT_TRUE(restore_interface(*backup, "w0"));
    EXPECT_THAT(output("ip -6 route show"), AllOf(HasSubstr("2001:db8:6::/48"), Not(HasSubstr("2001:db8:5::/48"))));
  });
}

/// A TAP's part is played by one end of a veth pair.
TEST(InterfaceBackup, AnotherInterfaceTakesTheNetworkOver) {
  in_own_namespace([] {
    make_interface();
    ASSERT_TRUE(ip("route add 203.0.113.0/24 nexthop via 192.0.2.2 nexthop via 192.0.2.3"));
    ASSERT_TRUE(ip("-6 route add 2001:db8:7::/48 via 2001:db8::2 src 2001:db8::7 metric 77"));
    const auto backup = back_up_interface("w0");
    ASSERT_TRUE(backup) << backup.error().message();
    EXPECT_EQ(addresses_of(*backup).size(), 2U) << "without the link-local one, which the kernel adds by itself";
    EXPECT_EQ(addresses_of(*backup).front().to_string(), "192.0.2.7/24");
    ASSERT_TRUE(ip("link del w0"));
    ASSERT_TRUE(ip("link add plx0 address 02:00:00:00:00:09 type veth peer name plx1"));
    ASSERT_TRUE(ip("link set plx1 up"));
    const auto handed = hand_network_to(*backup, "plx0");
    ASSERT_TRUE(handed) << handed.error().message();
    const std::string now = output("ip addr show plx0; ip route show table all; ip -6 route show");
    EXPECT_THAT(
        now, AllOf(HasSubstr("02:00:00:00:00:09"), HasSubstr("mtu 1500"), HasSubstr("inet 192.0.2.7/24"),
                   HasSubstr("inet6 2001:db8::7/64"), Not(HasSubstr("global nodad tentative")), Not(HasSubstr("w0"))));
    EXPECT_THAT(now, AllOf(HasSubstr("default via 192.0.2.1 dev plx0 metric 50"),
                           HasSubstr("198.51.100.0/24 dev plx0 table 77"),
                           HasSubstr("default via 2001:db8::1 dev plx0"), HasSubstr("nexthop via 192.0.2.3 dev plx0"),
                           HasSubstr("2001:db8:7::/48 via 2001:db8::2 dev plx0 src 2001:db8::7 metric 77")));
  });
}

TEST(InterfaceBackup, RestoresARouteThatWasWithoutALink) {
  in_own_namespace([] {
    make_interface();
    ASSERT_TRUE(ip("link set w1 down"));
    // The kernel may take a second to notice: Linux, net/core/link_watch.c.
    for (int wait = 0; wait < 100 && output("ip route show").find("linkdown") == std::string::npos; ++wait)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ASSERT_THAT(output("ip route show"), HasSubstr("linkdown"));
    const auto backup = back_up_interface("w0");
    ASSERT_TRUE(backup);
    const auto restored = restore_interface(*backup, "w0");
    EXPECT_TRUE(restored) << restored.error().message();
  });
}

/// As NetworkManager does it.
TEST(InterfaceBackup, RestoresTheRouteOfANetworkThatItsOwnerHasAdded) {
  in_own_namespace([] {
    ASSERT_TRUE(ip("link add w0 type veth peer name w1"));
    ASSERT_TRUE(ip("link set w0 up"));
    ASSERT_TRUE(ip("addr add 192.0.2.7/24 dev w0 noprefixroute"));
    ASSERT_TRUE(ip("route add 192.0.2.0/24 dev w0 proto kernel scope link src 192.0.2.7 metric 100"));
    const auto backup = back_up_interface("w0");
    ASSERT_TRUE(backup);
    ASSERT_TRUE(ip("addr flush dev w0"));
    ASSERT_TRUE(restore_interface(*backup, "w0"));
    EXPECT_THAT(output("ip route show"),
                HasSubstr("192.0.2.0/24 dev w0 proto kernel scope link src 192.0.2.7 metric 100"));
  });
}

TEST(InterfaceBackup, GoesOnAfterWhatTheKernelRejectsAndNamesIt) {
  in_own_namespace([] {
    make_interface();
    const auto backup = back_up_interface("w0");
    ASSERT_TRUE(backup);
    ASSERT_TRUE(ip("link del w0"));
    ASSERT_TRUE(ip("link add w0 mtu 1000 type veth peer name w1"));  // too short for IPv6
    const auto handed = hand_network_to(*backup, "w0");
    ASSERT_FALSE(handed);
    EXPECT_THAT(handed.error().what, HasSubstr("2001:db8::7/64: "));
    EXPECT_THAT(shown(), AllOf(HasSubstr("192.0.2.7/24"), HasSubstr("default via 192.0.2.1 dev w0 metric 50")));
  });
}

TEST(InterfaceBackup, RestoresABridgesMember) {
  in_own_namespace([] {
    ASSERT_TRUE(ip("link add br0 type bridge"));
    ASSERT_TRUE(ip("link add w0 type veth peer name w1"));
    ASSERT_TRUE(ip("link set w0 master br0"));
    const auto backup = back_up_interface("w0");
    ASSERT_TRUE(backup);
    ASSERT_TRUE(ip("link del w0"));
    ASSERT_TRUE(ip("link add w0 type veth peer name w1"));
    ASSERT_TRUE(restore_interface(*backup, "w0"));
    EXPECT_THAT(output("ip link show w0"), AllOf(HasSubstr("master br0"), HasSubstr("state DOWN"))) << "it was down";
    ASSERT_TRUE(ip("link add plx0 type veth peer name plx1"));
    ASSERT_TRUE(hand_network_to(*backup, "plx0"));
    EXPECT_THAT(output("ip link show plx0"), HasSubstr("master br0"));
  });
}

TEST(InterfaceBackup, RejectsWhatIsNotThere) {
  const auto backup = back_up_interface("no-such-one");
  ASSERT_FALSE(backup);
  EXPECT_EQ(backup.error().code, ErrorCode::not_found);
  EXPECT_FALSE(restore_interface({}, "no-such-one"));
}

TEST(InterfaceBackup, ReportsWhatTheKernelRejects) {
  in_own_namespace([] {
    ASSERT_TRUE(ip("link add w0 type veth peer name w1"));
    auto backup = back_up_interface("w0");
    ASSERT_TRUE(backup);
    backup->mtu = 1;
    const auto restored = restore_interface(*backup, "w0");
    ASSERT_FALSE(restored);
    EXPECT_THAT(restored.error().what, HasSubstr("did not accept"));
  });
}

}  // namespace
}  // namespace pollux::host
