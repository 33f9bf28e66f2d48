// SPDX-License-Identifier: BSD-3-Clause
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "qemu/bench.hpp"

namespace pollux {
namespace {

using test::Bench;
using test::QemuPort;

TEST(Traffic, TenThousandFramesArriveIntactBothWays) {
  Bench bench;
  QemuPort left = bench.start("0");
  QemuPort right = bench.start("1");
  ASSERT_TRUE(Bench::link_rises(left.port));
  ASSERT_TRUE(Bench::link_rises(right.port));
  EXPECT_EQ(left.port.link().speed, 1000u);
  bench.exchange(left.port, right.port, 10000);
  bench.exchange(right.port, left.port, 10000);
  ASSERT_TRUE(left.port.service());
  ASSERT_TRUE(right.port.service());
  EXPECT_EQ(left.port.stats().tx_packets, 10000u);
  EXPECT_EQ(left.port.stats().rx_packets, 10000u);
  EXPECT_EQ(right.port.stats().rx_burst_packets, 10000u);
}

TEST(Traffic, FramesMoveBetweenTwoQemusWithoutACopy) {
  Bench bench;
  QemuPort first = bench.start("0");
  QemuPort second = bench.start("1");
  QemuPort third = bench.start("2");
  QemuPort fourth = bench.start("3");
  for (Port* const port : {&first.port, &second.port, &third.port, &fourth.port}) {
    ASSERT_TRUE(Bench::link_rises(*port));
  }
  const test::Frame frame = test::numbered_frame(7, 600);
  ASSERT_EQ(bench.send(first.port, {&frame, 1}), 1u);
  Burst<32> burst;
  ASSERT_TRUE(test::eventually([&] { return second.port.rx(0).rx_burst(burst) == 1; }));
  const Mbuf* const received = &burst[0];
  ASSERT_EQ(third.port.tx(0).tx_burst(burst), 1u);
  EXPECT_NE(received, nullptr);
  const auto frames = bench.receive(fourth.port, 1);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0], frame);
}

// Runs the test above once more as nobody, with no capability and no group.
TEST(Traffic, AnOrdinaryUserCanDoIt) {
  if (::getuid() != 0) GTEST_SUCCEED() << "all of this ran as an ordinary user";
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr unsigned kNobody = 65534;
    if (::getuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) ::_exit(99);
    ::execl("/proc/self/exe", "qemu_test", "--gtest_filter=Traffic.TenThousandFramesArriveIntactBothWays", nullptr);
    ::_exit(98);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace pollux
