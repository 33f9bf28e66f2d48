// SPDX-License-Identifier: BSD-3-Clause
// A port beside other XDP programs on an interface, by libxdp's protocol. tests/guest/cases/kernel_interfaces.py has
// the programs of libxdp itself as its judges, and runs these tests where the kernel does not let programs replace
// functions.
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/flow/match.hpp"
#include "ports/xdp/bpf_calls.hpp"
#include "ports/xdp/bpf_code.hpp"
#include "ports/xdp/dispatcher.hpp"
#include "ports/xdp/helper_session.hpp"
#include "ports/xdp/links.hpp"
#include "ports/xdp/shared_program.hpp"
#include "xdp_fixture.hpp"

namespace pollux::ports {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// A program of another process that shares an interface. Each frame has its verdict.
class OtherProgram {
 public:
  explicit OtherProgram(std::uint32_t verdict, xdp::Attach where = xdp::Attach::native, const char* interface = "plxu0")
      : map_(xdp::create_map(BPF_MAP_TYPE_XSKMAP, sizeof(int), 1, 0)) {
    const std::uint32_t id = xdp::info_of_map(map_).id;
    auto share = xdp::own_share("other", id);
    if (!share) ADD_FAILURE() << share.error().message();
    if (share) share_ = *std::move(share);
    xdp::BpfCode code;
    code.load_map(BPF_REG_1, map_.get());
    code.move(BPF_REG_0, verdict);
    code.exit();
    EXPECT_EQ(xdp::attach_shared(::if_nametoindex(interface), where, std::move(code).finish(), id), 0);
  }

 private:
  FileDescriptor map_;
  FileDescriptor share_;
};

class XdpShare : public XdpPort {
 protected:
  void SetUp() override {
    XdpPort::SetUp();
    if (IsSkipped()) return;
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    ASSERT_EQ(::mount("bpf", folder_.c_str(), "bpf", 0, nullptr), 0);
    is_mounted_ = true;
    ::setenv("LIBXDP_BPFFS", folder_.c_str(), 1);
    const auto can = xdp::own_share("here", 0);
    if (!can) GTEST_SKIP() << can.error().message();
  }
  void TearDown() override {
    ::setenv("LIBXDP_BPFFS", folder_.c_str(), 1);
    static_cast<void>(xdp::remove_remains(index()));  // those of OtherProgram
    EXPECT_THAT(attached(), IsEmpty());
    ::unsetenv("LIBXDP_BPFFS");
    if (is_mounted_) ::umount(folder_.c_str());
    ::rmdir(folder_.c_str());
    XdpPort::TearDown();
  }
  [[nodiscard]] static unsigned index() { return ::if_nametoindex("plxu0"); }
  [[nodiscard]] static std::string attached() { return xdp::attached_program(index()); }
  /// What is in the folder of libxdp.
  [[nodiscard]] std::vector<std::string> pinned() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/xdp")) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }
  /// A process that shares the interface, drops all frames, and is killed.
  void live_and_die() {
    std::array<int, 2> ready{};
    ASSERT_EQ(::pipe(ready.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      Context context({.huge_pages = HugePages::never});
      auto port = open(context, "xdp:plxu0?share,rule=none");
      const bool drops = port && port->capability<FlowRules>()->add({match::eth(), to_drop()});
      const char result = drops ? 'y' : 'n';
      static_cast<void>(::write(ready[1], &result, 1) == 1);
      for (;;) ::pause();
    }
    char result = 0;
    ASSERT_EQ(::read(ready[0], &result, 1), 1);
    EXPECT_EQ(result, 'y');
    KernelEnd near("plxu0");
    KernelEnd far("plxu1");
    far.send(ether(numbered(60, 9)));
    EXPECT_THAT(xdp::find_remains(index()), IsEmpty()) << "it lives";
    EXPECT_EQ(xdp::remove_remains(index()), 0);
    EXPECT_THAT(near.receive(), IsEmpty()) << "dropped";
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    EXPECT_TRUE(soon([] { return !xdp::find_remains(index()).empty(); }));
  }

  std::string folder_ = "/tmp/pollux-bpf-XXXXXX";
  bool is_mounted_ = false;
};

TEST_F(XdpShare, TakesItsFramesBesideAnotherProgram) {
  const OtherProgram other(XDP_PASS);
  KernelEnd near("plxu0");
  KernelEnd far("plxu1");
  const Bytes frame = ether(numbered(60, 1));
  {
    Port port = started("xdp:plxu0?share,rule=none");
    EXPECT_THAT(attached(), HasSubstr("xdp_dispatcher"));
    far.send(frame);
    EXPECT_EQ(receive(near), frame);
    EXPECT_THAT(poll(port), IsEmpty());
    const FlowRuleId id =
        must(port.capability<FlowRules>()->add({match::eth().type(KernelEnd::kEtherType), to_port()}));
    far.send(frame);
    EXPECT_THAT(receive(port, 1), ElementsAre(frame));
    EXPECT_EQ(counter(port, "xdp_rule_1"), 1U);
    ASSERT_TRUE(port.capability<FlowRules>()->remove(id));
    far.send(frame);
    EXPECT_EQ(receive(near), frame);
    EXPECT_EQ(send(port, {frame}), 1U);
    EXPECT_EQ(receive(far), frame);
    EXPECT_THAT(pinned(), SizeIs(3)) << "a dispatcher and two owners: earlier ones are gone";
    EXPECT_THAT(xdp::find_remains(index()), IsEmpty());
  }
  EXPECT_THAT(attached(), HasSubstr("xdp_dispatcher")) << "the other one is still there";
  EXPECT_THAT(pinned(), SizeIs(2));
}

TEST_F(XdpShare, TheFirstProgramThatDropsHasTheLastWord) {
  const OtherProgram other(XDP_DROP);
  KernelEnd near("plxu0");
  KernelEnd far("plxu1");
  Port port = started("xdp:plxu0?share,rule=none");
  far.send(ether(numbered(60, 1)));
  const Bytes there = ether(numbered(60, 2));
  near.send(there);
  EXPECT_EQ(receive(far), there);
  EXPECT_THAT(near.receive(), IsEmpty());
}

TEST_F(XdpShare, LeavesNothingWhenItWasAlone) {
  {
    Port port = started("xdp:plxu0?share,rule=all");
    KernelEnd far("plxu1");
    far.send(ether(numbered(60, 1)));
    EXPECT_THAT(receive(port, 1), SizeIs(1));
    ASSERT_TRUE(port.stop());
    EXPECT_THAT(attached(), IsEmpty());
    ASSERT_TRUE(port.start());
    far.send(ether(numbered(60, 1)));
    EXPECT_THAT(receive(port, 1), SizeIs(1));
  }
  EXPECT_THAT(attached(), IsEmpty());
  EXPECT_THAT(pinned(), IsEmpty());
}

TEST_F(XdpShare, WhatADeadProcessLeavesPassesAllFrames) {
  const OtherProgram other(XDP_PASS);
  live_and_die();
  KernelEnd near("plxu0");
  const Bytes frame = ether(numbered(60, 1));
  KernelEnd("plxu1").send(frame);
  EXPECT_EQ(receive(near), frame);
  EXPECT_THAT(pinned(), SizeIs(3));
  EXPECT_EQ(xdp::remove_remains(index()), 0);
  EXPECT_THAT(xdp::find_remains(index()), IsEmpty());
  EXPECT_THAT(pinned(), SizeIs(2));
  EXPECT_THAT(attached(), HasSubstr("xdp_dispatcher"));
}

TEST_F(XdpShare, TheNextPortRemovesWhatADeadProcessLeft) {
  for (const char* uri : {"xdp:plxu0?share,rule=all", "xdp:plxu0?rule=all", "xdp:plxu0?share,rule=all,mode=generic"}) {
    live_and_die();
    {
      Port port = started(uri);
      KernelEnd("plxu1").send(ether(numbered(60, 1)));
      EXPECT_THAT(receive(port, 1), SizeIs(1)) << uri;
      EXPECT_THAT(xdp::find_remains(index()), IsEmpty());
    }
    EXPECT_THAT(attached(), IsEmpty()) << uri;
    EXPECT_THAT(pinned(), IsEmpty()) << uri;
  }
}

TEST_F(XdpShare, APortWhoseHelperHasEndedLives) {
  const std::string socket = file("helper");
  auto helper = std::make_unique<Helper>(socket);
  Port port = started("xdp:plxu0?share,rule=all,helper=" + socket);
  helper.reset();
  KernelEnd far("plxu1");
  const Bytes frame = ether(numbered(60, 1));
  const auto expect_frames = [&] {
    far.send(frame);
    EXPECT_THAT(receive(port, 1), ElementsAre(frame));
  };
  expect_frames();
  EXPECT_THAT(xdp::find_remains(index()), IsEmpty());
  EXPECT_EQ(xdp::remove_remains(index()), 0);
  expect_frames();
  Context others({.huge_pages = HugePages::never});
  const auto second = open(others, "xdp:plxu0?share,rule=none");
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().what, HasSubstr("cannot bind to queue 0"));
  expect_frames();
  ASSERT_TRUE(port.close());
  EXPECT_THAT(xdp::find_remains(index()), SizeIs(1)) << "nobody with privileges was there to remove it";
}

TEST_F(XdpShare, OnlyProgramsOfOthersAreLeftOfADeletedInterface) {
  conformance::make_veth_pair("plxd0", "plxd1");
  auto other = std::make_unique<OtherProgram>(XDP_PASS, xdp::Attach::native, "plxd0");
  {
    const Port port = started("xdp:plxd0?share,rule=all");
    KernelEnd("plxd1").remove();
  }
  EXPECT_THAT(pinned(), SizeIs(2)) << "the other one may be in another network namespace";
  other.reset();
  EXPECT_EQ(xdp::remove_remains(index()), 0) << "of another interface";
  EXPECT_THAT(pinned(), IsEmpty());
  conformance::make_veth_pair("plxd0", "plxd1");
  {
    const Port port = started("xdp:plxd0?share,rule=all");
    KernelEnd("plxd1").remove();
  }
  EXPECT_THAT(pinned(), IsEmpty());
}

TEST_F(XdpShare, ADispatcherIsAsLibxdpWritesIt) {
  EXPECT_EQ(xdp::DispatcherConfig().bytes(), 124U);
  for (const std::uint8_t version : {std::uint8_t{2}, std::uint8_t{3}}) {
    xdp::BpfCode code;
    code.move(BPF_REG_0, XDP_PASS);
    code.exit();
    const auto pass = std::move(code).finish();
    std::vector<xdp::Component> components(2);
    for (xdp::Component& component : components) component.code = pass;
    components[1].priority = 50;
    components[1].flags = xdp::kHasFrags;
    const auto made = xdp::make_dispatcher(std::move(components), version);
    ASSERT_TRUE(made) << made.error();
    const auto read = xdp::read_dispatcher(made->id);
    ASSERT_TRUE(read) << read.error();
    EXPECT_EQ(read->config.version, version);
    EXPECT_EQ(read->config.count, 2);
    EXPECT_EQ(read->config.frags, 0) << "one of them does not take frames over several buffers";
    EXPECT_THAT(read->config.priorities, testing::Contains(50U));
    EXPECT_EQ(read->config.chain_actions[0], 1U << 31);
  }
  EXPECT_EQ(xdp::make_dispatcher(std::vector<xdp::Component>(xdp::kMaxComponents + 1), 2).error(), E2BIG);
}

TEST_F(XdpShare, RefusesWhatDoesNotShare) {
  Context others({.huge_pages = HugePages::never});
  {
    const Port alone = must(open(others, "xdp:plxu0?rule=none"));
    const Error error = refused_start("xdp:plxu0?share,rule=all", config());
    EXPECT_EQ(error.code, ErrorCode::busy);
    EXPECT_THAT(error.hint, HasSubstr("share needs a dispatcher of libxdp"));
  }
  {
    const OtherProgram other(XDP_PASS, xdp::Attach::generic);
    EXPECT_EQ(refused_start("xdp:plxu0?share,rule=all,mode=copy", config()).code, ErrorCode::busy) << "another mode";
    const Error error = refused_start("xdp:plxu0?rule=all", config());
    EXPECT_EQ(error.code, ErrorCode::busy);
    EXPECT_THAT(error.hint, HasSubstr("write ?share"));
    Port port = started("xdp:plxu0?share,rule=all,mode=generic");
    KernelEnd("plxu1").send(ether(numbered(60, 1)));
    EXPECT_THAT(receive(port, 1), SizeIs(1));
  }
  ::setenv("LIBXDP_BPFFS", "/tmp", 1);
  const Error error = refused_start("xdp:plxu0?share,rule=all", config());
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_EQ(error.hint, "as root: mount -t bpf bpf /tmp");
}

}  // namespace
}  // namespace pollux::ports
