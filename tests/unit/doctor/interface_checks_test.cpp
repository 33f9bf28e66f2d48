// SPDX-License-Identifier: BSD-3-Clause
// `pollux doctor xdp:NAME` on a pair of interfaces in a network namespace of the test's own.
#include "doctor/interface_checks.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "commands.hpp"
#include "common/cli.hpp"
#include "conformance/own_network.hpp"
#include "fixture.hpp"
#include "pollux/pollux.hpp"

namespace pollux::tool::doctor {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct KernelInterface : Machine {
  KernelInterface() {
    environment.caller = &caller;
    environment.open_port = [this](const std::string& uri) { return open_unconfigured(context, uri); };
  }
  void SetUp() override {
    if (const auto obstacle = conformance::xdp_obstacle()) GTEST_SKIP() << *obstacle;
    conformance::enter_own_network();
    conformance::make_veth_pair("plxq0", "plxq1");
    ASSERT_TRUE(has_link(true));
  }
  /// Waits for the link to come or go: the kernel tells of it up to a second after `ip`.
  static bool has_link(bool up) {
    SteadyClock clock;
    const auto is_so = [up] { return (std::system("ip link show plxq0 | grep -q 'state UP'") == 0) == up; };
    return wait_until(clock, "a link", std::chrono::seconds(10), is_so, std::chrono::milliseconds(10)).has_value();
  }
  std::string said(const std::string& arguments, int status) {
    out.str("");
    err.str("");
    int exit_code = kSuccess;
    cli::App app("", "pollux");
    add_doctor(app, environment, exit_code);
    EXPECT_EQ(app.parse("doctor " + arguments, out, err).value_or(exit_code), status) << out.str() << err.str();
    return out.str() + err.str();
  }
  static void shell(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }
};

TEST_F(KernelInterface, ShowsEachCheck) {
  const std::string all = said("xdp:plxq0", kSuccess);
  for (const Check& check : interface_checks()) EXPECT_THAT(all, HasSubstr(std::string("  ") + check.name + " "));
  EXPECT_THAT(all, HasSubstr("driver veth, with a link"));
  EXPECT_THAT(all, HasSubstr("# ethtool -L plxq0 combined 1"));
  EXPECT_THAT(all, HasSubstr("native, and the kernel copies each frame"));
  EXPECT_EQ(said("'xdp:plxq0?rule=all'", kSuccess), all);
  EXPECT_THAT(said("--json xdp:plxq0", kSuccess), HasSubstr("\"port\": \"xdp:plxq0\""));
}

TEST_F(KernelInterface, FindsTheModeByAStart) {
  EXPECT_THAT(said("--start xdp:plxq0", kSuccess), HasSubstr("native, copies frames (zero copy: "));
}

TEST_F(KernelInterface, NamesAnInterfaceThatIsMissing) {
  EXPECT_THAT(said("xdp:plxnone", kUsage), HasSubstr("there is no such interface"));
}

TEST_F(KernelInterface, QuotesItsNameInCommands) {
  shell("ip link set plxq0 down && ip link set plxq0 name 'q;`id`$x'");
  const std::string all = said("'xdp:q;`id`$x'", kSuccess);
  shell("ip link set 'q;`id`$x' name plxq0 && ip link set plxq0 up");
  EXPECT_THAT(all, HasSubstr("# ip link set dev 'q;`id`$x' up\n"));
  EXPECT_THAT(all, HasSubstr("# ethtool -L 'q;`id`$x' combined 1\n"));
}

TEST_F(KernelInterface, NamesWhatIsInTheWay) {
  shell("ip link set plxq1 down");
  ASSERT_TRUE(has_link(false));
  EXPECT_THAT(said("xdp:plxq0", kSuccess), AllOf(HasSubstr("without a link"), HasSubstr("# ip link set dev plxq0 up")));
  shell("ip link set plxq1 up");
  Context elsewhere({.huge_pages = HugePages::never});
  const auto other = open(elsewhere, "xdp:plxq0?rule=none");
  ASSERT_TRUE(other) << other.error().message();
  EXPECT_THAT(said("xdp:plxq0", kFailure), AllOf(HasSubstr("another XDP program is attached: pollux (id "),
                                                 HasSubstr("# ip link set dev plxq0 xdp off")));
}

TEST_F(KernelInterface, NamesWhatMayBeInTheWay) {
  EXPECT_THAT(said("xdp:plxq0", kSuccess), HasSubstr("# ethtool -K plxq0 rxvlan off"));
  shell("ethtool -K plxq0 rxvlan off && ip link set plxq0 mtu 9000");
  EXPECT_THAT(said("xdp:plxq0", kSuccess),
              AllOf(HasSubstr("none that is in the way"), HasSubstr("9000 bytes: a frame may need several buffers")));
}

TEST_F(KernelInterface, SaysHowToOpenAnInterfaceWithASmallMtu) {
  shell("ip link set plxq0 mtu 1400");
  EXPECT_THAT(said("xdp:plxq0", kSuccess),
              AllOf(HasSubstr("1400 bytes, which is less than the 1500"), HasSubstr("'xdp:plxq0?set.mtu=1400'")));
  EXPECT_THAT(said("--start xdp:plxq0", kSuccess), HasSubstr("native, copies frames"));
  const auto refused = open(context, "xdp:plxq0?rule=none");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().hint, HasSubstr("'xdp:plxq0?rule=none,set.mtu=1400'"));
  EXPECT_TRUE(open(context, "xdp:plxq0?rule=none,set.mtu=1400"));
}

TEST_F(KernelInterface, KnowsWhetherFramesGoOverSeveralBuffers) {
  const auto opened = open_unconfigured(context, "xdp:plxq0?rule=none");
  ASSERT_TRUE(opened) << opened.error().message();
  const bool has_chains = opened->info().limits.max_mtu > 3498;
  EXPECT_THAT(said("xdp:plxq0", kSuccess),
              HasSubstr(has_chains ? "frames over several buffers" : "the MTU is at most 3,498"));
}

TEST_F(KernelInterface, NamesTheMissingRightsOfItsOwnUser) {
  std::thread([this] {
    // Of this thread alone.
    ASSERT_EQ(::syscall(SYS_setresuid, 65534, 65534, 65534), 0);
    caller.uid = 65534;
    EXPECT_THAT(said("xdp:plxq0", kFailure), HasSubstr("missing: CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON"));
  }).join();
}

TEST_F(KernelInterface, NamesTheRightsOfAnotherUser) {
  caller.uid = 1000;
  EXPECT_THAT(said("xdp:plxq0", kSuccess),
              HasSubstr("alice needs CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON"));
}

}  // namespace
}  // namespace pollux::tool::doctor
