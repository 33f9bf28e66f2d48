// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <thread>

#include "conformance/own_network.hpp"
#include "fixture.hpp"
#include "kernel_end.hpp"
#include "other_network.hpp"
#include "ports/tap/interface.hpp"
#include "support/settings_edits.hpp"

namespace pollux::ports {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class TapPort : public PortFixture {
 protected:
  void SetUp() override {
    if (const auto obstacle = conformance::own_network_obstacle()) GTEST_SKIP() << *obstacle;
    conformance::enter_own_network();
  }
};

TEST_F(TapPort, ExchangesFramesWithTheKernel) {
  Port port = started("tap:plx0");
  EXPECT_TRUE(port.link().up);
  KernelEnd kernel("plx0");
  const Bytes there = ether(numbered(60, 1));
  EXPECT_EQ(send(port, {there}), 1U);
  EXPECT_EQ(kernel.receive(), there);
  const Bytes back = ether(numbered(1514, 2));
  kernel.send(back);
  EXPECT_THAT(poll(port), ElementsAre(back));
  EXPECT_THAT(poll(port), IsEmpty());
}

// The kernel is not asked again after a burst that has found nothing: the descriptor is readable if a frame has come.
TEST_F(TapPort, AFrameThatComesAfterTheLastBurstWakes) {
  Port port = started("tap:plx0");
  KernelEnd kernel("plx0");
  pollux::RxQueue& queue = port.rx(0);
  const auto is_readable = [&queue] {
    pollfd waiting{queue.event_fd(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) == 1;
  };
  static_cast<void>(queue.arm());  // reports the start
  EXPECT_THAT(poll(port), IsEmpty());
  EXPECT_TRUE(queue.arm());
  EXPECT_FALSE(is_readable());
  EXPECT_THAT(poll(port), IsEmpty());
  const Bytes frame = ether(numbered(60, 1));
  kernel.send(frame);
  EXPECT_TRUE(queue.arm());
  EXPECT_TRUE(is_readable());
  EXPECT_FALSE(queue.arm()) << "no burst has been empty since";
  EXPECT_THAT(poll(port), ElementsAre(frame));
}

TEST_F(TapPort, ReadsLongFramesIntoChainsAndKeepsNoSpareBuffer) {
  auto small = must(Mempool::create(context_, {.count = 64, .data_room = 1024}));
  Port port = must(open(context_, "tap:plx0", {.rx = {{.pool = small}}, .mtu = 9000}));
  KernelEnd kernel("plx0");
  EXPECT_EQ(kernel.mtu(), 9000);
  const std::vector<Bytes> frames{ether(numbered(9014, 1)), ether(numbered(60, 2)), ether(numbered(1025, 3))};
  for (const Bytes& frame : frames) kernel.send(frame);
  EXPECT_EQ(poll(port), frames);
  EXPECT_THAT(poll(port), IsEmpty());
  ASSERT_TRUE(port.stop());
  EXPECT_EQ(small.stats().in_use(), 0U);
}

TEST_F(TapPort, CountsFramesLongerThanItsMtu) {
  Port port = started("tap:plx0");
  KernelEnd kernel("plx0");
  ASSERT_TRUE(test::set_mtu(port, 3000));
  kernel.send(ether(numbered(3014, 1)));
  // The kernel sent it before the MTU changed.
  ASSERT_TRUE(test::set_mtu(port, 1500));
  kernel.send(ether(numbered(60, 2)));
  EXPECT_THAT(poll(port), ElementsAre(ether(numbered(60, 2))));
  EXPECT_EQ(drops(port, "rx_too_long"), 1U);
}

TEST_F(TapPort, AnotherMtuOfTheInterfaceStaysUntilTheNextStart) {
  Port port = started("tap:plx0");
  KernelEnd kernel("plx0");
  ASSERT_EQ(std::system("ip link set plx0 mtu 3000"), 0);
  ASSERT_TRUE(test::set_all_multicast(port, true));
  EXPECT_EQ(kernel.mtu(), 3000) << "that was no change of the MTU";
  EXPECT_EQ(port.settings().mtu, 1500U);
  kernel.send(ether(numbered(3014, 1)));
  EXPECT_THAT(poll(port), IsEmpty());
  EXPECT_EQ(drops(port, "rx_too_long"), 1U);
  ASSERT_TRUE(port.stop());
  ASSERT_TRUE(port.start());
  EXPECT_EQ(kernel.mtu(), 1500);
}

TEST_F(TapPort, DropsWaitingFramesWhenItStops) {
  Port port = started("tap:plx0");
  KernelEnd kernel("plx0");
  kernel.send(ether(numbered(60, 1)));
  ASSERT_TRUE(port.stop());
  EXPECT_EQ(drops(port, "rx_stopped"), 1U);
  EXPECT_FALSE(port.link().up);
  ASSERT_TRUE(port.start());
  EXPECT_THAT(poll(port), IsEmpty());
}

TEST_F(TapPort, CountsFramesThatADownInterfaceRejects) {
  Port port = started("tap:plx0");
  KernelEnd kernel("plx0");
  kernel.take_down();
  EXPECT_FALSE(port.link().up);
  EXPECT_EQ(send(port, {ether(numbered(60, 1))}), 1U);
  EXPECT_EQ(drops(port, "tx_no_receiver"), 1U);
}

// As for a container, which has an interface of the same name of its own later.
TEST_F(TapPort, ServesAnInterfaceThatWasMovedAwayAndLeavesItsNamesakeAlone) {
  const OtherNetwork elsewhere;
  Port port = started("tap:plx0");
  const std::string there = "nsenter --net --target " + elsewhere.pid() + " ip link set plx0 ";
  ASSERT_EQ(std::system(("ip link set plx0 netns " + elsewhere.pid()).c_str()), 0);
  auto namesake = tap::Interface::open("plx0");
  ASSERT_TRUE(namesake) << namesake.error().message();
  EXPECT_FALSE(port.link().up);
  ASSERT_EQ(std::system((there + "up").c_str()), 0);
  EXPECT_TRUE(port.link().up);
  EXPECT_EQ(send(port, {ether(numbered(60, 1))}), 1U);
  EXPECT_EQ(drops(port, "tx_no_receiver"), 0U);

  const auto refused = test::set_mtu(port, 3000);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().what, HasSubstr("no longer in this process's network namespace"));
  EXPECT_FALSE(namesake->is_up());
  EXPECT_EQ(KernelEnd("plx0").mtu(), 1500);
}

TEST_F(TapPort, HasAnAddressOfItsOwn) {
  const Port port = must(open_unconfigured(context_, "tap:plx0"));
  auto again = tap::Interface::open("plx1");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_NE(port.mac(), *again->mac());
  EXPECT_EQ(port.mac()[0] & 3, 2);  // locally administered, unicast
}

TEST_F(TapPort, IsBusyWhileItIsOpen) {
  Port port = must(open_unconfigured(context_, "tap:plx0"));
  EXPECT_EQ(refused("tap:plx0").code, ErrorCode::busy);
  ASSERT_TRUE(port.close());
  EXPECT_TRUE(open_unconfigured(context_, "tap:plx0"));
}

TEST_F(TapPort, RejectsAnInterfaceThatIsNotATap) {
  const Error error = refused("tap:lo");
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_THAT(error.hint, HasSubstr("lo"));
}

TEST_F(TapPort, RejectsOptionsThatMeanNothing) {
  for (const char* const options :
       {"", "superframes=2", "superframes=", "superframes,superframes", "superframes,", "x"}) {
    const Error error = refused(std::string("tap:plx0?") + options);
    EXPECT_EQ(error.code, ErrorCode::invalid_argument) << options;
    EXPECT_THAT(error.hint, HasSubstr("superframes")) << options;
  }
}

TEST_F(TapPort, AnInterfaceWithAQuestionMarkHasToBeRenamed) {
  const auto interface = tap::Interface::open("plx?0");
  ASSERT_TRUE(interface) << interface.error().message();
  for (const char* const uri : {"tap:plx?0", "tap:plx?0?superframes", "xdp:plx?0?rule=all"}) {
    const Error error = refused(uri);
    EXPECT_EQ(error.code, ErrorCode::invalid_argument) << uri;
    EXPECT_EQ(error.hint, "rename it: ip link set dev 'plx?0' name NAME") << uri;
  }
}

TEST_F(TapPort, HasNoSuperframesIfTheyAreOff) {
  // Only a port with superframes needs a pool for frames of 64 KiB.
  auto small = must(Mempool::create(context_, {.count = 16}));
  const Settings config{.rx = {{.pool = small, .ring = 8}}};
  for (const char* const off : {"", "?superframes=0", "?superframes=no", "?superframes=off", "?superframes=false"})
    EXPECT_TRUE(open(context_, std::string("tap:plx0") + off, config)) << off;
  for (const char* const on : {"?superframes", "?superframes=1", "?superframes=yes"})
    EXPECT_FALSE(open(context_, std::string("tap:plx0") + on, config)) << on;
}

TEST_F(TapPort, FailsWhenItsInterfaceIsDeleted) {
  Port port = started("tap:plx0");
  ASSERT_TRUE(port.service());
  KernelEnd("plx0").remove();
  EXPECT_THAT(poll(port), IsEmpty());
  const auto service = port.service();
  ASSERT_FALSE(service);
  EXPECT_EQ(service.error().code, ErrorCode::device_removed);
  EXPECT_EQ(port.state(), PortState::failed);
  EXPECT_FALSE(port.start());
  EXPECT_TRUE(port.close());
}

TEST_F(TapPort, NamesTheCommandForAnUnprivilegedUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can drop privileges";
  // The system call changes only this thread (setresuid(2), "C library/kernel differences").
  std::thread([this] {
    ASSERT_EQ(::syscall(SYS_setresuid, 65534, 65534, 65534), 0);
    const Error error = refused("tap:plx0");
    EXPECT_EQ(error.code, ErrorCode::permission_denied) << error.message();
    EXPECT_THAT(error.hint,
                testing::AnyOf(HasSubstr("ip tuntap add dev plx0 mode tap user 65534 "), HasSubstr("chmod")));
  }).join();
}

TEST(TapInterface, RejectsNamesThatTheKernelRejects) {
  for (const char* name : {"", ".", "..", "a/b", "a b", "tap%d", "a:b", "sixteen-letters-", "\xC3\xA0"}) {
    const auto interface = tap::Interface::open(name);
    ASSERT_FALSE(interface) << name;
    EXPECT_EQ(interface.error().code, ErrorCode::invalid_argument) << name;
    EXPECT_THAT(interface.error().hint, HasSubstr("1 to 15")) << name;
  }
}

TEST(TapInterface, TakesNamesInAnyEncoding) {
  const auto interface = tap::Interface::open("pl\xC3\xBC\x30", "/nonexistent/tun");
  ASSERT_FALSE(interface);
  EXPECT_EQ(interface.error().code, ErrorCode::module_not_loaded) << interface.error().message();
}

TEST(TapInterface, NamesTheNameThatTheKernelReserves) {
  for (const char* name : {"all", "default"}) {
    const auto interface = tap::Interface::open(name);
    ASSERT_FALSE(interface) << name;
    EXPECT_EQ(interface.error().code, ErrorCode::invalid_argument) << name;
    EXPECT_THAT(interface.error().what, HasSubstr("reserves the name '" + std::string(name) + "'"));
  }
}

TEST(TapInterface, SaysHowToLoadTheModule) {
  const auto interface = tap::Interface::open("plx0", "/nonexistent/tun");
  ASSERT_FALSE(interface);
  EXPECT_EQ(interface.error().code, ErrorCode::module_not_loaded);
  EXPECT_THAT(interface.error().hint, HasSubstr("modprobe tun"));
}

}  // namespace
}  // namespace pollux::ports
