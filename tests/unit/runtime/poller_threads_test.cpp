// SPDX-License-Identifier: BSD-3-Clause
// Other threads disable, enable and schedule while a thread polls and sleeps.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "pollux/pollux.hpp"

namespace pollux::test {
namespace {

using namespace std::chrono_literals;

/// A ring: one end is sent to by the test, the other one polled by a thread.
class PollerThread : public testing::Test {
 protected:
  template <class T>
  static T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message());
    return *std::move(result);
  }
  void send(std::uint64_t frames = 1) {
    for (std::uint64_t sent = 0; sent < frames;) {
      MbufPtr mbuf = sender_.rx_pool()->allocate();
      if (mbuf == nullptr) continue;
      std::fill_n(mbuf->append(60), 60, std::uint8_t{0xFF});
      Burst<1> burst;
      if (!burst.push(mbuf)) continue;
      sent += sender_.tx(0).tx_burst(burst);
      DropCounter full("full");
      burst.drop(full);
    }
  }
  void start(PollMode mode) {
    polled_ = must(poller_.add(receiver_.rx(0),
                               [this](Burst<64>& burst) {
                                 if (inside_handler_.exchange(true)) ADD_FAILURE() << "two threads in the handler";
                                 while (held_) std::this_thread::yield();
                                 plain_ += burst.size();
                                 received_ += burst.size();
                                 burst.drop(handled_);
                                 inside_handler_ = false;
                               },
                               {.mode = mode}));
    thread_ = std::thread([this] {
      while (!over_) {
        if (const auto ran = poller_.run_once(); !ran) ADD_FAILURE() << ran.error().message();
      }
    });
  }
  ~PollerThread() override {
    over_ = true;
    poller_.wake();
    if (thread_.joinable()) thread_.join();
  }
  void wait_for(std::uint64_t frames) {
    while (received_ < frames) std::this_thread::yield();
  }

  Context context_{{.huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  Port sender_ = must(open(context_, "ring:threads:0", {.rx = {{.ring = 64}}, .tx = {{.ring = 64}}}));
  Port receiver_ = must(open(context_, "ring:threads:1", {.rx = {{.ring = 64}}, .tx = {{.ring = 64}}}));
  DropCounter handled_{"handled"};
  std::atomic<bool> over_{false};
  std::atomic<bool> held_{false};
  std::atomic<bool> inside_handler_{false};
  std::atomic<std::uint64_t> received_{0};
  std::uint64_t plain_ = 0;  // not atomic: only the one who owns the queue may touch it
  PolledQueue* polled_ = nullptr;
  Poller poller_{context_};
  std::thread thread_;
};

TEST_F(PollerThread, NoFrameIsLeftWhileItSleepsAndWakes) {
  start(PollMode::interrupt);
  for (std::uint64_t frames = 1; frames <= 2'000; ++frames) {
    send();
    wait_for(frames);
  }
}

TEST_F(PollerThread, DisableWaitsForTheHandlerAndNothingIsPolledAfterIt) {
  start(PollMode::adaptive);
  std::uint64_t sent = 0;
  for (int round = 0; round < 200; ++round) {
    send(3);
    sent += 3;
    ASSERT_TRUE(polled_->disable(30s));
    const std::uint64_t before = plain_;  // a race, if a poll were under way
    send(2);
    sent += 2;
    std::this_thread::yield();
    EXPECT_EQ(plain_, before);
    polled_->enable();
    wait_for(sent);
  }
}

TEST_F(PollerThread, DisableNamesAHandlerThatDoesNotReturn) {
  start(PollMode::interrupt);
  held_ = true;
  send();
  while (!inside_handler_) std::this_thread::yield();
  const auto late = polled_->disable(1ms);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::timeout);
  EXPECT_NE(late.error().message().find("queue 0"), std::string::npos);
  held_ = false;
  ASSERT_TRUE(polled_->disable(30s));
  EXPECT_EQ(plain_, 1U);
}

TEST_F(PollerThread, SchedulingWakesASleepingThread) {
  start(PollMode::interrupt);
  std::atomic<std::uint64_t> runs{0};
  PollerTask* task = nullptr;
  ASSERT_TRUE(polled_->disable(30s));
  over_ = true;
  poller_.wake();
  thread_.join();
  over_ = false;
  task = &poller_.add_task("count", [&] { return ++runs, false; });
  thread_ = std::thread([this] {
    while (!over_) ASSERT_TRUE(poller_.run_once());
  });
  for (std::uint64_t round = 2; round <= 2'000; ++round) {
    while (runs + 1 < round) std::this_thread::yield();
    ASSERT_TRUE(task->schedule());
  }
  while (runs < 2'000) std::this_thread::yield();  // the task uses it until then
}

TEST_F(PollerThread, APortMayBeClosedOnceItsQueueIsDisabled) {
  start(PollMode::interrupt);
  for (int round = 0; round < 20; ++round) {
    send(1);
    ASSERT_TRUE(polled_->disable(30s));
    ASSERT_TRUE(receiver_.stop());
    ASSERT_TRUE(receiver_.start());
    polled_->enable();
  }
  ASSERT_TRUE(polled_->disable(30s));
  receiver_ = must(open(context_, "null:"));
  std::this_thread::sleep_for(1ms);
}

TEST_F(PollerThread, AHandlerMayDisableAnotherQueueWhileItIsWaitedFor) {
  Port other = must(open(context_, "ring:other:0", {.rx = {{.ring = 64}}, .tx = {{.ring = 64}}}));
  PolledQueue* const second = must(poller_.add(other.rx(0), [this](Burst<64>& burst) { burst.drop(handled_); }));
  std::atomic<bool> waits{false};
  std::atomic<bool> was_disabled{false};
  polled_ = must(poller_.add(receiver_.rx(0), [&](Burst<64>& burst) {
    burst.drop(handled_);
    inside_handler_ = true;
    while (!waits) std::this_thread::yield();
    std::this_thread::sleep_for(20ms);  // until the other thread is inside `disable`
    was_disabled = second->disable().has_value();
    second->enable();
    inside_handler_ = false;
  }));
  thread_ = std::thread([this] {
    while (!over_) static_cast<void>(poller_.run_once());
  });
  send();
  while (!inside_handler_) std::this_thread::yield();
  waits = true;
  EXPECT_TRUE(polled_->disable(30s));
  EXPECT_TRUE(was_disabled);
  EXPECT_FALSE(inside_handler_);
  EXPECT_TRUE(second->is_enabled());
  over_ = true;
  poller_.wake();
  thread_.join();
  EXPECT_TRUE(poller_.remove(*second));
  EXPECT_TRUE(poller_.remove(*polled_));
}

}  // namespace
}  // namespace pollux::test
