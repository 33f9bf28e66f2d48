// SPDX-License-Identifier: BSD-3-Clause
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "pollux/net/register_dump.hpp"
#include "qemu/fixture.hpp"

namespace pollux {
namespace {

using test::QemuFixture;
using test::QemuPort;

TEST(Traffic, TenThousandFramesArriveIntactInBothDirections) {
  QemuFixture fixture;
  QemuPort left = fixture.start("0");
  QemuPort right = fixture.start("1");
  ASSERT_TRUE(QemuFixture::link_rises(left.port));
  ASSERT_TRUE(QemuFixture::link_rises(right.port));
  EXPECT_EQ(left.port.link().speed, 1000u);
  fixture.exchange(left.port, right.port, 10000);
  fixture.exchange(right.port, left.port, 10000);
  ASSERT_TRUE(left.port.service());
  ASSERT_TRUE(right.port.service());
  EXPECT_EQ(left.port.stats().tx_packets, 10000u);
  EXPECT_EQ(left.port.stats().rx_packets, 10000u);
  EXPECT_EQ(right.port.stats().rx_burst_packets, 10000u);
}

// No queue is polled while frames arrive. QEMU's card does not count the frames that it drops, and the port reports
// this.
TEST(Traffic, MissedCountIsNotExactOnACardThatCannotCount) {
  QemuFixture fixture;
  fixture.config.rx[0].ring = 64;
  fixture.config.rx.resize(4, fixture.config.rx[0]);
  QemuPort left = fixture.start("0");
  QemuPort right = fixture.start("1");
  ASSERT_TRUE(QemuFixture::link_rises(left.port));
  ASSERT_TRUE(QemuFixture::link_rises(right.port));
  EXPECT_EQ(left.port.info().missed_count, MissedCount::lower_bound);
  std::vector<test::Frame> frames;
  for (std::uint32_t i = 0; i < 2000; ++i) frames.push_back(test::numbered_frame(i, 60));
  ASSERT_EQ(fixture.send(left.port, frames), frames.size());
  ASSERT_TRUE(test::eventually([&] {
    left.port.tx(0).tx_done_cleanup();
    return left.port.tx(0).in_flight() == 0;
  }));
  const std::size_t armed = fixture.config.rx[0].ring - 1;  // broadcasts go only to queue 0
  const std::size_t received = fixture.receive(right.port, armed).size();
  const Stats stats = right.port.stats();
  EXPECT_EQ(received, armed) << "frames without a descriptor are lost";
  EXPECT_EQ(stats.rx_burst_packets, received);
  EXPECT_LT(received + stats.rx_dropped + stats.rx_missed_errors, frames.size())
      << "if equal, the card does count them";
}

// QEMU's wire has no check sequence, and its card ignores IFCS (hw/net/igb_core.c, igb_process_tx_desc). So a frame's
// own sequence arrives as its last four bytes, and a receiver that keeps the sequence gets four zeros behind them.
TEST(Traffic, AFramesOwnCheckSequenceIsDataOnQemusWire) {
  QemuFixture fixture;
  QemuPort left = fixture.start("0");
  fixture.config.keep_fcs = true;
  QemuPort right = fixture.start("1");
  ASSERT_TRUE(QemuFixture::link_rises(left.port));
  ASSERT_TRUE(QemuFixture::link_rises(right.port));
  const test::Frame frame = test::numbered_frame(1, 104);
  Burst<1> burst;
  ASSERT_TRUE(burst.fill(fixture.cache, 1));
  std::memcpy(burst[0].append(104), frame.data(), 104);
  burst[0].set_tx_offload({.flags = TxOffload::without_fcs});
  ASSERT_EQ(left.port.tx(0).tx_burst(burst), 1u);
  test::Frame expected = frame;
  expected.resize(108);
  EXPECT_EQ(fixture.receive(right.port, 1), std::vector<test::Frame>{expected});
}

// The buffer address in the first descriptor of transmit queue 0. Ring and mbuf are in the same memory, which both
// QEMUs share with this process, so the same offset between address and IOVA applies to both.
std::uint64_t address_in_first_descriptor(Port& port, const Mbuf& mbuf) {
  std::uint64_t ring = 0;
  for (const RegisterValue& value : port.capability<RegisterDump>()->registers()) {
    if (value.name == "TDBAL[0]") ring |= value.value;
    if (value.name == "TDBAH[0]") ring |= std::uint64_t{value.value} << 32;
  }
  std::uint64_t address = 0;
  std::memcpy(&address, mbuf.data() - mbuf.data_iova() + ring, sizeof address);
  return address;
}

TEST(Traffic, FramesMoveBetweenTwoQemusWithoutCopying) {
  QemuFixture fixture;
  QemuPort first = fixture.start("0");
  QemuPort second = fixture.start("1");
  QemuPort third = fixture.start("2");
  QemuPort fourth = fixture.start("3");
  for (Port* const port : {&first.port, &second.port, &third.port, &fourth.port}) {
    ASSERT_TRUE(QemuFixture::link_rises(*port));
  }
  const test::Frame frame = test::numbered_frame(7, 600);
  ASSERT_EQ(fixture.send(first.port, {&frame, 1}), 1u);
  Burst<32> burst;
  ASSERT_TRUE(test::eventually([&] { return second.port.rx(0).rx_burst(burst) == 1; }));
  const Mbuf& received = burst[0];
  const std::uint64_t written_by_second = received.data_iova();
  const std::uint32_t buffers = fixture.pool.stats().in_use();
  ASSERT_EQ(third.port.tx(0).tx_burst(burst), 1u);
  // The third card reads the same bytes that the second one wrote. No buffer was allocated for a copy.
  EXPECT_EQ(address_in_first_descriptor(third.port, received), written_by_second);
  EXPECT_EQ(fixture.pool.stats().in_use(), buffers);
  const auto frames = fixture.receive(fourth.port, 1);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0], frame);
}

// Runs TenThousandFramesArriveIntactInBothDirections again as user "nobody", without capabilities and supplementary
// groups.
TEST(Traffic, AnOrdinaryUserCanSendAndReceive) {
  const pid_t child = ::fork();
  if (child == 0) {
    // The child must not inherit this program's selection of cases and its report file.
    for (const char* const name : {"GTEST_OUTPUT", "GTEST_TOTAL_SHARDS", "GTEST_SHARD_INDEX"}) ::unsetenv(name);
    constexpr unsigned kNobody = 65534;
    if (::getuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) ::_exit(99);
    ::execl("/proc/self/exe", "qemu_test", "--gtest_filter=Traffic.TenThousandFramesArriveIntactInBothDirections",
            nullptr);
    ::_exit(98);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace pollux
