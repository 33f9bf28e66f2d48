// SPDX-License-Identifier: BSD-3-Clause
// What happens to an interface of the kernel while a port uses it.
#include <linux/if_xdp.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "xdp_fixture.hpp"

namespace pollux::ports {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A pair of interfaces that a test may change: `plxe0` and `plxe1`.
class XdpPortEvents : public XdpPort {
 protected:
  void SetUp() override {
    XdpPort::SetUp();
    if (IsSkipped()) return;
    conformance::make_veth_pair("plxe0", "plxe1");
    KernelEnd("plxe1").send_on_one_queue();
  }
  void TearDown() override { static_cast<void>(std::system("ip link del plxe1 2>/dev/null")); }

  /// Whether both ends are up. The kernel tells of it up to a second after `ip`.
  static bool comes_up(Port& port) {
    return soon([&] { return port.link().up && std::system("ip link show plxe1 | grep -q 'state UP'") == 0; });
  }
  static void shell(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }
  void expect_frames(Port& port, std::uint8_t number) {
    KernelEnd kernel("plxe1");
    const Bytes frame = ether(numbered(60, number));
    kernel.send(frame);
    EXPECT_THAT(receive(port, 1), ElementsAre(frame));
    EXPECT_EQ(send(port, {frame}), 1U);
    EXPECT_EQ(receive(kernel), frame);
    EXPECT_TRUE(port.service());
  }
};

/// AF_XDP sockets of this process that an epoll instance of it watches. proc(5), /proc/pid/fdinfo.
std::size_t watched_sockets() {
  std::size_t watched = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      int descriptor = -1;
      if (std::sscanf(line.c_str(), "tfd: %d", &descriptor) != 1) continue;
      int family = 0;
      socklen_t bytes = sizeof family;
      static_cast<void>(::getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &bytes));
      if (family == AF_XDP) ++watched;
    }
  }
  return watched;
}

TEST_F(XdpPortEvents, ASocketIsWatchedOnlyForThoseWhoSleep) {
  Port port = started("xdp:plxe0?rule=all");
  expect_frames(port, 1);
  EXPECT_EQ(watched_sockets(), 0U) << "the kernel looks for sleepers of each frame";
  static_cast<void>(port.rx(0).arm());  // reports the start
  ASSERT_TRUE(port.rx(0).arm());
  EXPECT_EQ(watched_sockets(), 1U);
  port.rx(0).disarm();
  expect_frames(port, 2);
}

// The flags of a TAP, which are another source, follow a lost carrier up to a second later.
TEST_F(XdpPortEvents, ALostCarrierIsSeenAtOnce) {
  Port tap = started("tap:plxt0");
  Port port = started("xdp:plxt0?rule=all,mode=generic");
  for (int round = 0; round < 3; ++round) {
    for (const bool carrier : {false, true}) {
      ASSERT_TRUE(tap.capability<KernelInterface>()->set_interface_carrier(carrier));
      EXPECT_EQ(port.link().up, carrier) << round;
    }
  }
}

// A queue that has just received does not look for the deletion before it sleeps.
TEST_F(XdpPortEvents, ADeletionIsNoticedByThoseWhoHaveJustReceived) {
  for (const bool asleep : {true, false}) {
    if (!asleep) SetUp();
    Port port = started("xdp:plxe0?rule=all");
    pollux::RxQueue& queue = port.rx(0);
    static_cast<void>(queue.arm());  // reports the start
    pollfd waiting{queue.event_fd(), POLLIN, 0};
    expect_frames(port, 1);
    if (asleep) {
      ASSERT_TRUE(queue.arm());
      EXPECT_EQ(::poll(&waiting, 1, 0), 0);
    }
    shell("ip link del plxe1");
    if (!asleep) {
      ASSERT_TRUE(queue.arm());
    }
    EXPECT_EQ(::poll(&waiting, 1, 1000), 1) << asleep;
    queue.disarm();
    EXPECT_THAT(poll(port), IsEmpty());
    static_cast<void>(queue.arm());  // finds it
    queue.disarm();
    EXPECT_TRUE(queue.arm());
    EXPECT_EQ(::poll(&waiting, 1, 0), 0) << "the thread is woken once, and then by the end of the port: " << asleep;
    EXPECT_FALSE(port.service());
    EXPECT_EQ(::poll(&waiting, 1, 1000), 1) << asleep;
    EXPECT_TRUE(port.close());
  }
}

// An index names an interface within its network namespace only.
TEST_F(XdpPortEvents, InterfacesOfTwoNetworksMayHaveOneIndex) {
  const auto index = ::if_nametoindex("plxe0");
  Port port = started("xdp:plxe0?rule=all");
  std::thread([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    shell("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
    shell("ip link add plxe0 index " + std::to_string(index) + " type veth peer name plxe1");
    shell("ip link set plxe0 up && ip link set plxe1 up");
    auto other = open(context_, "xdp:plxe0?rule=all,mode=copy", config());
    ASSERT_TRUE(other) << other.error().message();
    EXPECT_TRUE(soon([&] { return other->link().up; }));
  }).join();
  expect_frames(port, 1);
  EXPECT_EQ(refused("xdp:plxe0?rule=udp").code, ErrorCode::busy);
}

TEST_F(XdpPortEvents, AnInterfaceThatWasDownGoesOn) {
  Port port = started("xdp:plxe0?rule=all");
  shell("ip link set plxe0 down");
  EXPECT_FALSE(port.link().up);
  const Bytes frame = ether(numbered(60, 1));
  EXPECT_EQ(counter(port, "xdp_tx_refused"), 0U);
  EXPECT_EQ(send(port, {frame, frame}), 2U);
  EXPECT_EQ(counter(port, "xdp_tx_refused"), 2U);
  EXPECT_TRUE(port.service());
  shell("ip link set plxe0 up");
  EXPECT_TRUE(comes_up(port));
  KernelEnd kernel("plxe1");
  Burst<1> empty;
  EXPECT_EQ(port.tx(0).tx_burst(empty), 0U);
  EXPECT_EQ(receive(kernel), frame) << "the kernel kept them";
  EXPECT_EQ(receive(kernel), frame);
  EXPECT_EQ(drops(port, "tx_write_failed"), 0U);
  expect_frames(port, 2);
}

// More than the kernel sends a call.
TEST_F(XdpPortEvents, ABurstOfOneSendsAllThatAnInterfaceKept) {
  constexpr std::uint32_t kKept = 50;
  Port port = started("xdp:plxe0?rule=all");
  shell("ip link set plxe0 down");
  const Bytes frame = ether(numbered(60, 1));
  EXPECT_EQ(send(port, std::vector<Bytes>(kKept, frame)), kKept);
  shell("ip link set plxe0 up");
  EXPECT_TRUE(comes_up(port));
  KernelEnd kernel("plxe1");
  EXPECT_EQ(send(port, {frame}), 1U);
  for (std::uint32_t i = 0; i <= kKept; ++i) ASSERT_EQ(receive(kernel), frame) << i;
}

TEST_F(XdpPortEvents, FramesThatAnInterfaceKeptAreCountedAtTheStop) {
  Port port = started("xdp:plxe0?rule=all");
  shell("ip link set plxe0 down");
  EXPECT_EQ(send(port, {ether(numbered(60, 1)), ether(numbered(60, 2))}), 2U);
  ASSERT_TRUE(port.stop());
  EXPECT_EQ(drops(port, "tx_stopped"), 2U);
  EXPECT_EQ(port.stats().tx_packets, 0U);
  EXPECT_EQ(pool_.stats().in_use(), 0U);
}

TEST_F(XdpPortEvents, AnotherMtuChangesNothing) {
  Port port = started("xdp:plxe0?rule=all");
  for (const char* mtu : {"9000", "1500", "1000"}) {
    shell(std::string("ip link set plxe0 mtu ") + mtu);
    expect_frames(port, 3);
  }
  shell("ip link set plxe1 mtu 1000");
  EXPECT_EQ(send(port, {ether(numbered(1514, 4))}), 1U) << "too long for the link partner";
  EXPECT_TRUE(soon([&] { return drops(port, "tx_write_failed") == 1; }));
}

TEST_F(XdpPortEvents, ARenamedInterfaceGoesOn) {
  Port port = started("xdp:plxe0?rule=all");
  shell("ip link set plxe0 down && ip link set plxe0 name plxf0 && ip link set plxf0 up");
  EXPECT_TRUE(comes_up(port));
  expect_frames(port, 5);
  ASSERT_TRUE(port.stop());
  ASSERT_TRUE(port.start());
  expect_frames(port, 6);
}

TEST_F(XdpPortEvents, AnotherNameOfAnInterfaceIsTheSame) {
  shell("ip link property add dev plxe0 altname plxother");
  Port port = started("xdp:plxother?rule=all");
  EXPECT_TRUE(comes_up(port));
  expect_frames(port, 9);
  EXPECT_EQ(refused("xdp:plxe0?rule=all").code, ErrorCode::busy);
}

TEST_F(XdpPortEvents, QueuesThatAreInUseStay) {
  Settings config = XdpPort::config();
  config.rx.resize(4, config.rx[0]);
  config.tx.resize(4, config.tx[0]);
  Port port = must(open(context_, "xdp:plxe0?rule=all", config));
  shell("ethtool -L plxe1 rx 8 tx 1");  // XDP on veth wants no fewer queues than the link partner sends on
  EXPECT_NE(std::system("ethtool -L plxe0 rx 2 tx 2 2>/dev/null"), 0) << "the kernel refuses it";
  shell("ethtool -L plxe0 rx 4 tx 4");
  expect_frames(port, 7);
  shell("ethtool -L plxe0 rx 8 tx 8");
  expect_frames(port, 8);
}

TEST_F(XdpPortEvents, AnInterfaceThatIsMovedAwayFailsThePort) {
  const OtherNetwork elsewhere;
  Port port = started("xdp:plxe0?rule=all");
  pollux::RxQueue& queue = port.rx(0);
  static_cast<void>(queue.arm());  // reports the start
  ASSERT_TRUE(queue.arm());
  shell("ip link set plxe0 netns " + elsewhere.pid());
  pollfd waiting{queue.event_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 1000), 1);
  EXPECT_THAT(poll(port), IsEmpty());
  EXPECT_EQ(send(port, {ether(numbered(60, 1))}), 1U);
  const auto served = port.service();
  ASSERT_FALSE(served);
  EXPECT_EQ(served.error().code, ErrorCode::device_removed);
  EXPECT_THAT(served.error().what, HasSubstr("moved to another network namespace"));
  EXPECT_TRUE(port.close());
  EXPECT_EQ(pool_.stats().in_use(), 0U);
}

// The program is the other one's, and this one only sends: its socket wants the queue, too.
TEST_F(XdpPortEvents, ATakenQueueIsABusyPort) {
  Context others({.huge_pages = HugePages::never});
  const auto first = open(others, "xdp:plxe0?rule=all");
  ASSERT_TRUE(first) << first.error().message();
  Settings sender = config();
  sender.rx.clear();
  const Error error = refused_start("xdp:plxe0", sender);
  EXPECT_EQ(error.code, ErrorCode::busy);
  EXPECT_THAT(error.what, HasSubstr("cannot bind to queue 0"));
  EXPECT_THAT(error.hint, HasSubstr("another program has this queue"));
}

}  // namespace
}  // namespace pollux::ports
