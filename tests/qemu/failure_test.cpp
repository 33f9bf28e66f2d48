// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>

#include "qemu/fixture.hpp"

namespace pollux {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;
using test::QemuFixture;
using test::QemuPort;
using testing::Contains;
using testing::HasSubstr;

/// Many times the longest wait of the library, because the machine may be busy.
constexpr auto kBound = seconds(30);

/// True if a child has ended. Does not reap it.
bool has_ended(pid_t pid) {
  siginfo_t info{};
  const int found = ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT);
  return found != 0 || info.si_pid == pid;
}

std::uint64_t value_of(const std::vector<Counter>& counters, std::string_view name) {
  for (const Counter& counter : counters) {
    if (counter.name == name) return counter.value;
  }
  ADD_FAILURE() << "no counter " << name;
  return 0;
}

void expect_device_removed(QemuFixture& fixture, QemuPort& left, QemuPort& right) {
  const auto begin = steady_clock::now();
  const std::uint64_t in_use = fixture.pool.stats().in_use();
  for (Port* const port : {&left.port, &right.port}) {
    const auto serviced = port->service();
    ASSERT_FALSE(serviced);
    EXPECT_EQ(serviced.error().code, ErrorCode::device_removed);
    EXPECT_EQ(port->state(), PortState::failed);
    Burst<32> burst;
    EXPECT_EQ(port->rx(0).rx_burst(burst), 0u);
    EXPECT_TRUE(port->close());
  }
  EXPECT_LT(steady_clock::now() - begin, kBound);
  EXPECT_FALSE(test::process_exists(left.pid));
  EXPECT_EQ(fixture.pool.stats().in_use(), 0u);
  EXPECT_EQ(value_of(left.port.extended_stats(), "removed_buffers") +
                value_of(right.port.extended_stats(), "removed_buffers"),
            in_use);
}

void expect_new_pair_works(QemuFixture& fixture) {
  QemuPort left = fixture.start("0");
  QemuPort right = fixture.start("1");
  ASSERT_TRUE(QemuFixture::link_rises(left.port));
  ASSERT_TRUE(QemuFixture::link_rises(right.port));
  fixture.exchange(left.port, right.port, 200);
}

TEST(Failure, AKilledQemuIsADeviceRemovedAndCanBeOpenedAgain) {
  QemuFixture fixture;
  {
    QemuPort left = fixture.start("0");
    QemuPort right = fixture.start("1");
    ASSERT_TRUE(QemuFixture::link_rises(left.port));
    ASSERT_TRUE(QemuFixture::link_rises(right.port));
    fixture.exchange(left.port, right.port, 100);
    ASSERT_EQ(::kill(left.pid, SIGKILL), 0);
    expect_device_removed(fixture, left, right);
  }
  EXPECT_THAT(fixture.log, Contains(HasSubstr("signal 9")));
  expect_new_pair_works(fixture);
}

TEST(Failure, AStoppedQemuTimesOutAndCanBeOpenedAgain) {
  QemuFixture fixture;
  {
    QemuPort left = fixture.start("0?timeout=500");
    QemuPort right = fixture.start("1?timeout=500");
    ASSERT_EQ(::kill(left.pid, SIGSTOP), 0);
    expect_device_removed(fixture, left, right);
  }
  EXPECT_THAT(fixture.log, Contains(HasSubstr("did not respond within 500 ms")));
  expect_new_pair_works(fixture);
}

TEST(Failure, APollThatOnlySendsDetectsAStoppedQemu) {
  QemuFixture fixture;
  QemuPort left = fixture.start("0?timeout=500");
  QemuPort right = fixture.start("1?timeout=500");
  ASSERT_TRUE(QemuFixture::link_rises(left.port));
  ASSERT_EQ(::kill(left.pid, SIGSTOP), 0);
  const test::Frame frame = test::numbered_frame(1, 60);
  EXPECT_EQ(fixture.send(left.port, {&frame, 1}), 1u);
  EXPECT_TRUE(test::eventually([&] {
    Burst<32> burst;
    left.port.rx(0).rx_burst(burst);
    return has_ended(left.pid);  // the poll that detects the failure kills QEMU
  }));
  expect_device_removed(fixture, left, right);
}

TEST(Failure, AQemuThatEndsDuringStopCausesNoHang) {
  QemuFixture fixture;
  QemuPort left = fixture.start("0");
  ASSERT_EQ(::kill(left.pid, SIGKILL), 0);
  const auto begin = steady_clock::now();
  EXPECT_EQ(left.port.stop().error().code, ErrorCode::device_removed);
  EXPECT_TRUE(left.port.close());
  EXPECT_LT(steady_clock::now() - begin, kBound);
}

TEST(Failure, DoesNotAffectTheOtherPair) {
  QemuFixture fixture;
  QemuPort lost = fixture.start("0");
  QemuPort left = fixture.start("2");
  QemuPort right = fixture.start("3");
  ASSERT_EQ(::kill(lost.pid, SIGKILL), 0);
  EXPECT_FALSE(lost.port.service());
  ASSERT_TRUE(QemuFixture::link_rises(left.port));
  ASSERT_TRUE(QemuFixture::link_rises(right.port));
  fixture.exchange(left.port, right.port, 200);
}

}  // namespace
}  // namespace pollux
