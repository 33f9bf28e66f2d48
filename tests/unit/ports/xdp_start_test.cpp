// SPDX-License-Identifier: BSD-3-Clause
// What a start needs, and what it says if it is not there.
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/matches.hpp"
#include "xdp_fixture.hpp"

namespace pollux::ports {
namespace {

using testing::Contains;
using testing::HasSubstr;

/// Does `work` on a thread that may lock `bytes` of memory.
template <class Work>
void with_locked(rlim_t bytes, Work work) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_MEMLOCK, &before), 0);
  const rlimit less{bytes, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_MEMLOCK, &less), 0);
  // The system calls change only the thread.
  std::thread([&] {
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    ASSERT_EQ(::syscall(SYS_capget, &head, data.data()), 0);
    data[0].effective &= ~(1U << CAP_IPC_LOCK);
    ASSERT_EQ(::syscall(SYS_capset, &head, data.data()), 0);
    work();
  }).join();
  ASSERT_EQ(::setrlimit(RLIMIT_MEMLOCK, &before), 0);
}

// The kernel returns the pages of a closed socket a moment later.
TEST_F(XdpPort, StartsAgainWithinTheLimitOfLockedMemory) {
  with_locked(rlim_t{4} << 20, [this] {
    Port port = started("xdp:plxu0?rule=all");
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(port.stop());
      const auto again = port.start();
      ASSERT_TRUE(again) << again.error().message();
    }
  });
}

TEST_F(XdpPort, AdvisesALimitOfLockedMemoryThatIsEnough) {
  with_locked(rlim_t{1} << 20, [this] {
    const Error error = refused_start("xdp:plxu0?rule=all", config());
    EXPECT_EQ(error.code, ErrorCode::memlock_too_small);
    const auto number = [](const std::string& text, const char* pattern) {
      const auto found = test::matches(text, pattern);
      return found.empty() ? 0U : std::stoull(found[0].groups[1]);
    };
    const auto wanted = number(error.what, "does not take ([0-9]+) bytes");
    EXPECT_GT(wanted, 1U << 20);
    EXPECT_GE(number(error.hint, "ulimit -l ([0-9]+) ") * 1024, wanted + (1U << 20)) << "others may have the rest";
  });
}

TEST_F(XdpPort, CountsMbufsThatAPoolDoesNotHave) {
  Mempool small = must(Mempool::create(context_, {.count = 512}));
  MempoolCache cache(small);
  std::vector<MbufPtr> taken;
  while (MbufPtr mbuf = cache.allocate()) taken.push_back(std::move(mbuf));
  const std::uint64_t before = small.stats().allocation_failures;
  Settings next = config();
  next.rx[0].pool = small;
  next.rx[0].cache = {};
  EXPECT_EQ(refused_start("xdp:plxu0?rule=all", next).code, ErrorCode::no_memory);
  EXPECT_EQ(small.stats().allocation_failures, before + 1);
}

TEST_F(XdpPort, SaysWhichEndHasNoLink) {
  conformance::make_veth_pair("plxd0", "plxd1");
  KernelEnd("plxd1").take_down();
  static_cast<void>(started("xdp:plxd0?rule=all"));
  EXPECT_THAT(log_, Contains(HasSubstr("look at its other end")));
  KernelEnd("plxd0").take_down();
  static_cast<void>(started("xdp:plxd0?rule=all"));
  EXPECT_THAT(log_, Contains(HasSubstr("as root: ip link set dev plxd0 up")));
  KernelEnd("plxd1").remove();
}

}  // namespace
}  // namespace pollux::ports
