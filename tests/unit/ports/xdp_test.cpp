// SPDX-License-Identifier: BSD-3-Clause
// The kernel at the other end of a pair of interfaces judges what the port sends and receives.
#include <linux/capability.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <string>
#include <thread>
#include <utility>

#include "xdp_fixture.hpp"

namespace pollux::ports {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(XdpPort, ExchangesFramesWithTheKernel) {
  Port port = started("xdp:plxu0?rule=all");
  EXPECT_TRUE(soon([&] { return port.link().up; }));
  KernelEnd kernel("plxu1");
  const Bytes there = ether(numbered(60, 1));
  EXPECT_EQ(send(port, {there}), 1U);
  EXPECT_EQ(receive(kernel), there);
  const Bytes back = ether(numbered(1514, 2));
  kernel.send(back);
  EXPECT_THAT(receive(port, 1), ElementsAre(back));
  EXPECT_THAT(poll(port), IsEmpty());
}

TEST_F(XdpPort, TakesNothingFromAnEmptyBurst) {
  Port port = started("xdp:plxu0?rule=all");
  ASSERT_EQ(send(port, {ether(numbered(60, 1)), ether(numbered(60, 2))}), 2U);
  ASSERT_NE(port.tx(0).in_flight(), 0U) << "the kernel has completed it, but nobody has looked";
  Burst<4> empty;
  EXPECT_EQ(port.tx(0).tx_burst(empty), 0U);
  EXPECT_EQ(port.tx(0).in_flight(), 0U);
  EXPECT_EQ(port.stats().tx_burst_packets, 2U);
}

TEST_F(XdpPort, ReportsHowFramesAreExchanged) {
  const Port port = started("xdp:plxu0?rule=all");
  EXPECT_EQ(port.info().driver, "xdp");
  EXPECT_THAT(port.info().card, HasSubstr("veth"));
  EXPECT_THAT(log_, Contains(HasSubstr("native, copies frames (zero copy: pool 'mempool' is not in huge pages)")));
}

TEST_F(XdpPort, TakesTheModeThatIsDemanded) {
  KernelEnd kernel("plxu1");
  for (const char* mode : {"generic", "copy"}) {
    Port port = started(std::string("xdp:plxu0?rule=all,mode=") + mode);
    const Bytes there = ether(numbered(60, 1));
    EXPECT_EQ(send(port, {there}), 1U);
    EXPECT_EQ(receive(kernel), there);
    kernel.send(there);
    EXPECT_THAT(receive(port, 1), ElementsAre(there)) << mode;
  }
  EXPECT_THAT(log_, Contains(HasSubstr("xdp:plxu0?rule=all,mode=generic: generic, copies frames")));
  const Error error = refused_start("xdp:plxu0?rule=all,mode=zero-copy", config());
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.hint, HasSubstr("vm.nr_hugepages"));
}

// Zero copy would take the buffers of the kernel's frames from a ring that nobody fills.
TEST_F(XdpPort, AQueueThatOnlySendsLeavesReceivingToTheKernel) {
  Settings config = this->config();
  config.rx.clear();
  const Error error = refused_start("xdp:plxu0?mode=zero-copy", config);
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.hint, HasSubstr("as many receive queues"));
  Port port = must(open(context_, "xdp:plxu0", config));
  EXPECT_THAT(log_, Contains(HasSubstr("copies frames (zero copy: a queue that only sends")));
  KernelEnd near("plxu0");
  KernelEnd far("plxu1");
  const Bytes frame = ether(numbered(60, 1));
  far.send(frame);
  EXPECT_EQ(receive(near), frame);
  EXPECT_EQ(send(port, {frame}), 1U);
  EXPECT_EQ(receive(far), frame);
}

TEST_F(XdpPort, MovesLongFramesInSeveralBuffers) {
  Settings jumbo = config();
  jumbo.mtu = 9000;
  Port port = must(open(context_, "xdp:plxu0?rule=all", jumbo));
  KernelEnd kernel("plxu1");
  const Bytes frame = ether(numbered(9014, 7));
  kernel.send(frame);
  EXPECT_THAT(receive(port, 1), ElementsAre(frame));
  MbufPtr whole;
  for (std::size_t at = 0; at < frame.size(); at += 2000) {
    MbufPtr part = make_mbuf({frame.begin() + static_cast<std::ptrdiff_t>(at),
                              frame.begin() + static_cast<std::ptrdiff_t>(std::min(at + 2000, frame.size()))});
    if (whole == nullptr) {
      whole = std::move(part);
    } else {
      ASSERT_TRUE(whole->chain(part));
    }
  }
  Burst<1> burst;
  ASSERT_TRUE(burst.push(whole));
  EXPECT_EQ(port.tx(0).tx_burst(burst), 1U);
  EXPECT_EQ(receive(kernel), frame);
  EXPECT_EQ(counter(port, "xdp_tx_copied"), 0U);
}

// The kernel's chunks have 2,048 bytes or more, so those of small mbufs begin in front of them, and the first mbufs of
// the memory have no chunk.
TEST_F(XdpPort, ReceivesIntoSmallMbufs) {
  for (const std::uint32_t room : {448U, 1024U}) {
    Context context({.huge_pages = HugePages::never});
    auto small = must(Mempool::create(context, {.count = 128, .data_room = room, .headroom = 64}));
    Port port = must(open(context, "xdp:plxu0?rule=all", {.rx = {{.pool = small, .ring = 64}}, .mtu = 1000}));
    KernelEnd kernel("plxu1");
    for (int round = 0; round < 200; ++round) {
      const Bytes frame = ether(numbered(60 + 4 * static_cast<std::size_t>(round), static_cast<std::uint8_t>(round)));
      kernel.send(frame);
      Burst<1> burst;
      ASSERT_TRUE(soon([&] { return port.rx(0).rx_burst(burst) == 1; })) << round;
      Bytes received((*burst.begin()).packet_length());
      EXPECT_EQ((*burst.begin()).copy_out(0, received), received.size());
      EXPECT_EQ(received, frame);
    }
    ASSERT_TRUE(port.close());
    EXPECT_EQ(small.stats().in_use(), 0U);
  }
}

TEST_F(XdpPort, ReceivesIntoPartsOfLargeMbufs) {
  auto large = must(Mempool::create(context_, {.count = 128, .data_room = 16384}));
  Port port = must(open(context_, "xdp:plxu0?rule=all", {.rx = {{.pool = large, .ring = 64}}, .mtu = 9000}));
  KernelEnd kernel("plxu1");
  const Bytes frame = ether(numbered(9014, 5));
  kernel.send(frame);
  EXPECT_THAT(receive(port, 1), ElementsAre(frame));
}

TEST_F(XdpPort, LeavesTheInterfaceToTheKernelWhenStopped) {
  Port port = started("xdp:plxu0?rule=all");
  KernelEnd far("plxu1");
  KernelEnd near("plxu0");
  const Bytes frame = ether(numbered(60, 1));
  far.send(frame);
  EXPECT_THAT(receive(port, 1), ElementsAre(frame));
  EXPECT_THAT(near.receive(), IsEmpty());
  ASSERT_TRUE(port.stop());
  far.send(frame);
  EXPECT_EQ(receive(near), frame);
  ASSERT_TRUE(port.start());
  far.send(frame);
  EXPECT_THAT(receive(port, 1), ElementsAre(frame));
}

// A frame goes from one port to another in the mbuf into which the kernel has written it.
TEST_F(XdpPort, PassesItsMbufsOn) {
  Port in = started("xdp:plxu0?rule=all");
  Port out = started("ring:x:0");
  Port end = started("ring:x:1");
  KernelEnd kernel("plxu1");
  const Bytes frame = ether(numbered(300, 3));
  kernel.send(frame);
  Burst<4> burst;
  ASSERT_TRUE(soon([&] { return in.rx(0).rx_burst(burst) == 1; }));
  const std::uint8_t* const data = (*burst.begin()).data();
  ASSERT_EQ(out.tx(0).tx_burst(burst), 1U);
  ASSERT_EQ(end.rx(0).rx_burst(burst), 1U);
  EXPECT_EQ((*burst.begin()).data(), data);
  ASSERT_EQ(in.tx(0).tx_burst(burst), 1U);
  EXPECT_EQ(receive(kernel), frame);
  EXPECT_EQ(counter(in, "xdp_tx_copied"), 0U);
}

TEST_F(XdpPort, CopiesFramesOfPoolsThatItDoesNotReach) {
  Port port = started("xdp:plxu0?rule=all");
  KernelEnd kernel("plxu1");
  auto late = must(Mempool::create(context_, {.count = 64}));
  MbufPtr mbuf = late.allocate();
  const Bytes frame = ether(numbered(100, 4));
  std::copy(frame.begin(), frame.end(), mbuf->append(100));
  Burst<1> burst;
  ASSERT_TRUE(burst.push(mbuf));
  EXPECT_EQ(port.tx(0).tx_burst(burst), 1U);
  EXPECT_EQ(receive(kernel), frame);
  EXPECT_EQ(counter(port, "xdp_tx_copied"), 1U);
  EXPECT_EQ(late.stats().in_use(), 0U);
}

TEST_F(XdpPort, CountsFramesForWhichTheRingHasNoRoom) {
  Settings small = config();
  small.rx[0].ring = 8;
  Port port = must(open(context_, "xdp:plxu0?rule=all", small));
  KernelEnd kernel("plxu1");
  constexpr std::uint64_t kFrames = 50;
  for (std::uint64_t i = 0; i < kFrames; ++i) kernel.send(ether(numbered(60, 1)));
  EXPECT_TRUE(soon([&] { return port.stats().rx_missed_errors == kFrames - 8; })) << port.stats().rx_missed_errors;
  EXPECT_EQ(counter(port, "xdp_rx_fill_ring_empty_descs"), kFrames - 8);
  EXPECT_EQ(receive(port, 8).size(), 8U);
  EXPECT_EQ(port.stats().rx_packets, kFrames);
  ASSERT_TRUE(port.stop());
  EXPECT_EQ(port.stats().rx_missed_errors, kFrames - 8) << "counters outlive the sockets";
}

TEST_F(XdpPort, CountsWhatWaitsWhenItStops) {
  Port port = started("xdp:plxu0?rule=all");
  KernelEnd kernel("plxu1");
  kernel.send(ether(numbered(60, 1)));
  ASSERT_TRUE(soon([&] { return port.rx(0).arm() == false && port.rx(0).arm() == false; }));
  ASSERT_TRUE(port.stop());
  EXPECT_EQ(drops(port, "rx_stopped"), 1U);
  EXPECT_EQ(pool_.stats().in_use(), 0U);
}

// A frame that a driver does not take is lost: the kernel says so once for each.
TEST_F(XdpPort, CountsFramesThatTheDriverDoesNotTake) {
  Port port = started("xdp:plxu0?rule=all");
  KernelEnd("plxu1").take_down();
  EXPECT_EQ(send(port, {ether(numbered(60, 1)), ether(numbered(70, 2))}), 2U);
  EXPECT_EQ(drops(port, "tx_write_failed") + port.stats().tx_packets, 2U);
  EXPECT_EQ(drops(port, "tx_write_failed"), 2U);
  EXPECT_EQ(std::system("ip link set plxu1 up"), 0);
}

TEST_F(XdpPort, AnotherProgramIsABusyInterface) {
  Context others({.huge_pages = HugePages::never});
  const auto first = open(others, "xdp:plxu0?rule=all");
  ASSERT_TRUE(first) << first.error().message();
  for (const char* uri : {"xdp:plxu0?rule=all", "xdp:plxu0?rule=all,mode=generic"}) {
    const Error error = refused_start(uri, config());
    EXPECT_EQ(error.code, ErrorCode::busy);
    EXPECT_THAT(error.hint, HasSubstr("another XDP program is attached: pollux (id "));
  }
  const Port mine = must(open_unconfigured(context_, "xdp:plxu0?rule=all"));
  EXPECT_EQ(refused("xdp:plxu0?rule=all").code, ErrorCode::busy) << "a port of this Context has it";
}

TEST_F(XdpPort, ADeadProcessLeavesNothing) {
  std::array<int, 2> ready{};
  ASSERT_EQ(::pipe(ready.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    Context context({.huge_pages = HugePages::never});
    auto port = open(context, "xdp:plxu0?rule=all");
    const char result = port ? 'y' : 'n';
    static_cast<void>(::write(ready[1], &result, 1) == 1);
    for (;;) ::pause();
  }
  char result = 0;
  ASSERT_EQ(::read(ready[0], &result, 1), 1);
  EXPECT_EQ(result, 'y');
  EXPECT_EQ(std::system("ip link show dev plxu0 | grep -q xdp"), 0) << "attached while it lives";
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(soon([] { return std::system("ip link show dev plxu0 | grep -q xdp") != 0; }));
  EXPECT_TRUE(open(context_, "xdp:plxu0?rule=all", config())) << "the queue is free again";
}

TEST_F(XdpPort, ADeletedInterfaceWakesASleeperAndFailsThePort) {
  conformance::make_veth_pair("plxd0", "plxd1");
  Port port = started("xdp:plxd0?rule=all");
  pollux::RxQueue& queue = port.rx(0);
  static_cast<void>(queue.arm());  // reports the start
  ASSERT_TRUE(queue.arm());
  pollfd waiting{queue.event_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 0);
  KernelEnd("plxd1").remove();
  EXPECT_EQ(::poll(&waiting, 1, 1000), 1);
  EXPECT_THAT(poll(port), IsEmpty());
  const auto served = port.service();
  ASSERT_FALSE(served);
  EXPECT_EQ(served.error().code, ErrorCode::device_removed);
  EXPECT_EQ(port.state(), PortState::failed);
  EXPECT_TRUE(port.close());
  EXPECT_EQ(pool_.stats().in_use(), 0U);
}

TEST_F(XdpPort, WantsAnInterfaceWhoseMtuIsLargeEnough) {
  Settings large = config();
  large.mtu = 9216;
  ASSERT_EQ(std::system("ip link set plxu0 mtu 9000"), 0);
  const Error error = refused_start("xdp:plxu0?rule=all", large);
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_THAT(error.hint, HasSubstr("ip link set plxu0 mtu 9216"));
  ASSERT_EQ(std::system("ip link set plxu0 mtu 9216"), 0);
}

TEST_F(XdpPort, SaysWhatIsMissing) {
  EXPECT_EQ(refused("xdp:plxnone").code, ErrorCode::not_found);
  EXPECT_EQ(refused("xdp:a/b").code, ErrorCode::invalid_argument);
  EXPECT_THAT(refused("xdp:plxu0?rule=all,mode=fast").hint, HasSubstr("mode=zero-copy"));
  EXPECT_THAT(refused("xdp:plxu0?speed=1").hint, HasSubstr("mode"));
  EXPECT_EQ(refused("xdp:plxu0?rule=all,share,hints").code, ErrorCode::invalid_argument);
  auto tight = must(Mempool::create(context_, {.count = 128, .headroom = 32}));
  const Error error = refused_start("xdp:plxu0?rule=all", {.rx = {{.pool = tight, .ring = 64}}});
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_THAT(error.hint, HasSubstr("headroom = 64"));
  auto small = must(Mempool::create(context_, {.count = 128, .data_room = 64}));
  EXPECT_THAT(refused_start("xdp:plxu0?rule=all", {.rx = {{.pool = small, .ring = 64}}, .mtu = 1000}).hint,
              HasSubstr("data_room = 448"));
}

TEST_F(XdpPort, PollsBusilyInTheKernel) {
  Port port = started("xdp:plxu0?rule=all,busy-poll=20");
  KernelEnd kernel("plxu1");
  const Bytes frame = ether(numbered(60, 1));
  for (int i = 0; i < 3; ++i) {
    kernel.send(frame);
    EXPECT_THAT(receive(port, 1), ElementsAre(frame));
  }
  EXPECT_EQ(send(port, {frame}), 1U);
  EXPECT_EQ(receive(kernel), frame);
  for (const char* time : {"0", "1000001", "fast", "20us"}) {
    EXPECT_THAT(refused(std::string("xdp:plxu1?busy-poll=") + time).hint, HasSubstr("busy-poll=20")) << time;
  }
}

TEST_F(XdpPort, ThePrivilegesThatItNamesAreThoseThatItNeeds) {
  std::string hint;
  // Of a thread alone, and its network namespace is that of the test.
  std::thread([&] {
    ASSERT_EQ(::syscall(SYS_setresuid, 65534, 65534, 65534), 0);
    const Error error = refused_start("xdp:plxu0?rule=all", config());
    EXPECT_EQ(error.code, ErrorCode::permission_denied);
    hint = error.hint;
  }).join();
  std::uint64_t named = 0;
  for (const auto& [name, bit] :
       {std::pair("cap_net_admin", CAP_NET_ADMIN), std::pair("cap_net_raw", CAP_NET_RAW),
        std::pair("cap_ipc_lock", CAP_IPC_LOCK), std::pair("cap_perfmon", 38), std::pair("cap_bpf", 39)}) {
    if (hint.find(name) != std::string::npos) named |= std::uint64_t{1} << bit;
  }
  std::thread([&] {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<__user_cap_data_struct, 2> rights{};
    for (unsigned i = 0; i < rights.size(); ++i) {
      rights[i].effective = rights[i].permitted = static_cast<std::uint32_t>(named >> (32 * i));
    }
    ASSERT_EQ(::syscall(SYS_capset, &header, rights.data()), 0);
    const auto port = open(context_, "xdp:plxu0?rule=udp:5000;to:fd00::/64+tcp:80;vlan:7", config());
    EXPECT_TRUE(port) << port.error().message();
  }).join();
}

}  // namespace
}  // namespace pollux::ports
