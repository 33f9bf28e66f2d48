// SPDX-License-Identifier: BSD-3-Clause
// A flood of four times what the program can handle: the program's own task and every queue get their share. In virtual
// time, in which a handler and the task take as long as the test says, so the result is the same in each run.
#include <numeric>
#include <vector>

#include "fake_queue.hpp"
#include "flow_frame.hpp"
#include "support/fixture.hpp"

namespace pollux::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Duration kPerFrame = std::chrono::nanoseconds(500);
constexpr Duration kFlood = milliseconds(10);

/// A card whose queues receive four frames in the time that the program needs for one.
class Flood : public testing::Test {
 protected:
  void set_up(const std::vector<std::uint32_t>& weights, Duration task_unit) {
    fixture_.emplace(CardFixtureOptions{
        .port = {.rx = {static_cast<std::uint16_t>(weights.size()), {.ring = 512}}, .tx = {{.ring = 64}}},
        .pool = {.count = 8192}});
    poller_.emplace(fixture_->context);
    for (std::uint16_t queue = 0; queue < weights.size(); ++queue) {
      auto polled = poller_->add(fixture_->port.rx(queue),
                                 [this](Burst<64>& burst) {
                                   const Duration taken = burst.size() * kPerFrame;
                                   burst.drop(handled_, fixture_->cache);
                                   polls_took_ += taken;
                                   fixture_->clock->advance(taken);
                                 },
                                 {.weight = weights[queue]});
      ASSERT_TRUE(polled);
      queues_.push_back(*polled);
    }
    poller_->add_task("application", [this, task_unit] {
      task_took_ += task_unit;
      fixture_->clock->advance(task_unit);
      return true;
    });
    fixture_->clock->follow([this](Duration now) {
      const auto due = static_cast<std::uint64_t>((now - start_) / (kPerFrame / 4));
      while (flooding_ && injected_ < due) fixture_->inject(flow(injected_++));
    });
    start_ = fixture_->clock->now();
    flooding_ = true;
  }
  void run() {
    fixture_->clock->advance(milliseconds(1));
    const Time end = fixture_->clock->now() + kFlood;
    while (fixture_->clock->now() < end) ASSERT_TRUE(poller_->run_once());
  }
  void expect_weighted_shares() {
    std::uint64_t frames = 0;
    std::uint64_t weights = 0;
    for (const PolledQueue* queue : queues_) {
      frames += queue->stats().frames;
      weights += queue->weight();
    }
    for (const PolledQueue* queue : queues_) {
      const double share = static_cast<double>(frames * queue->weight()) / static_cast<double>(weights);
      EXPECT_GE(static_cast<double>(queue->stats().frames), 0.9 * share) << "a weight of " << queue->weight();
    }
    EXPECT_GT(injected_, 4 * frames) << "a flood";
  }

  std::optional<CardFixture> fixture_;
  std::optional<Poller> poller_;
  std::vector<PolledQueue*> queues_;
  DropCounter handled_{"handled"};
  Time start_{};
  bool flooding_ = false;
  std::uint64_t injected_ = 0;
  Duration polls_took_{};
  Duration task_took_{};
};

TEST_F(Flood, TheTaskGetsHalfOfTheTimeAndEachQueueItsShare) {
  set_up({64, 64, 64, 64}, microseconds(7));
  run();
  EXPECT_GE(task_took_, polls_took_);
  EXPECT_LE(task_took_, polls_took_ + Poller::kMaxTaskDebt) << "and the polls have theirs";
  expect_weighted_shares();
}

TEST_F(Flood, QueuesShareInProportionToTheirWeights) {
  set_up({16, 64, 32, 128}, microseconds(7));
  run();
  EXPECT_GE(task_took_, polls_took_);
  expect_weighted_shares();
}

TEST_F(Flood, ATaskThatTakesLongLeavesTheOtherHalfToThePolls) {
  set_up({64, 64}, milliseconds(1));
  run();
  EXPECT_GE(task_took_, polls_took_);
  EXPECT_LE(task_took_, polls_took_ + milliseconds(2));
  expect_weighted_shares();
}

}  // namespace
}  // namespace pollux::test
