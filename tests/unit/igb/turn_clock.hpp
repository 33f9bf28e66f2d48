// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "pollux/base/clock.hpp"

namespace pollux::test {

/// Virtual time for several threads that take turns: a thread runs until it sleeps, and then the thread whose sleep
/// ends first goes on, at that time. So the threads interleave at each wait, and in the same way in every run.
class TurnClock final : public Clock {
 public:
  /// Runs all `tasks`, each on a thread of its own, until they return.
  void run(std::vector<std::function<void()>> tasks) {
    {
      const std::lock_guard guard(lock_);
      wake_.assign(tasks.size(), now_);
      running_ = 0;
    }
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      threads.emplace_back([this, i, task = std::move(tasks[i])] {
        self() = i;
        wait_for_turn();
        task();
        pass_turn(Duration::max());
        self() = kNone;
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  [[nodiscard]] Duration now() const override {
    const std::lock_guard guard(lock_);
    return now_;
  }
  void sleep_for(Duration span) override {
    if (self() == kNone) {
      const std::lock_guard guard(lock_);
      now_ += std::max(span, Duration(0));
      return;
    }
    pass_turn(now() + std::max(span, Duration(1)));
    wait_for_turn();
  }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};
  static std::size_t& self() {
    thread_local std::size_t index = kNone;
    return index;
  }

  void wait_for_turn() {
    std::unique_lock guard(lock_);
    changed_.wait(guard, [&] { return running_ == self(); });
    now_ = std::max(now_, wake_[self()]);
  }
  void pass_turn(Duration until) {
    const std::lock_guard guard(lock_);
    wake_[self()] = until;
    running_ = static_cast<std::size_t>(std::min_element(wake_.begin(), wake_.end()) - wake_.begin());
    changed_.notify_all();
  }

  mutable std::mutex lock_;
  std::condition_variable changed_;
  std::vector<Duration> wake_;
  std::size_t running_ = kNone;
  Duration now_{0};
};

}  // namespace pollux::test
