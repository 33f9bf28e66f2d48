// SPDX-License-Identifier: BSD-3-Clause
#include "observe/port_meters.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <thread>

#include "unit/observe/fixture.hpp"

namespace pollux::observe {
namespace {

std::uint64_t intervals_of(const RxMeter& meter) {
  std::uint64_t sum = 0;
  for (std::size_t bucket = 0; bucket < 40; ++bucket) sum += meter.poll_intervals().count(bucket);
  return sum;
}

class RxMeterTest : public testing::Test {
 protected:
  test::TelemetryFixture fixture_;
  const RxQueue& queue_ = fixture_.port.rx(0);
  std::array<Mbuf*, 2> frames_{};  // a meter counts them only
  RxMeter meter_;
};

TEST_F(RxMeterTest, IsBusyFromABurstToTheNextPoll) {
  const std::uint64_t start = read_cycles();
  meter_.received(queue_, frames_);
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  meter_.found_none(queue_);
  meter_.found_none(queue_);
  EXPECT_GT(meter_.busy_cycles(), 0U);
  EXPECT_LE(meter_.busy_cycles(), read_cycles() - start);
  EXPECT_EQ(meter_.busy_frames(), 2U);
  EXPECT_EQ(intervals_of(meter_), 2U);
}

TEST_F(RxMeterTest, IsNotBusyWhileTheProgramSleeps) {
  const std::uint64_t start = read_cycles();
  meter_.received(queue_, frames_);
  const std::uint64_t armed = read_cycles();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  meter_.slept(queue_, armed);
  meter_.received(queue_, frames_);
  EXPECT_LE(meter_.busy_cycles(), armed - start);
  EXPECT_EQ(meter_.busy_frames(), 2U) << "those of the second burst are not handled yet";
  EXPECT_EQ(intervals_of(meter_), 0U);
  meter_.slept(queue_, armed);  // from before the last poll: it was armed still
  meter_.received(queue_, frames_);
  EXPECT_EQ(meter_.busy_frames(), 2U);
}

}  // namespace
}  // namespace pollux::observe
