// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/queue_driver.hpp"
#include "pollux/runtime/poller.hpp"

namespace pollux::test {

/// A receive queue whose frames the test puts in, and which notes how it is used.
class FakeQueue final : public RxQueueDriver {
 public:
  explicit FakeQueue(MempoolCache& cache, bool can_sleep = true) : cache_(cache) {
    if (can_sleep) event_ = FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    open_bursts(&burst);
  }
  ~FakeQueue() override = default;

  void put(std::uint32_t frames) {
    waiting += frames;
    if (armed) static_cast<void>(::eventfd_write(event_.get(), 1));
  }

  [[nodiscard]] int event_fd() const override { return event_.get(); }
  [[nodiscard]] bool arm() noexcept override {
    ++arms;
    eventfd_t ignored = 0;
    static_cast<void>(::eventfd_read(event_.get(), &ignored));
    armed = waiting == 0 && !refuses;
    return armed;
  }
  void disarm() noexcept override {
    ++disarms;
    armed = false;
  }
  [[nodiscard]] Result<void> use_cache(const MempoolCache&) override { return {}; }

  std::uint32_t waiting = 0;
  bool refuses = false;
  bool armed = false;
  std::vector<std::uint32_t> limits;  ///< of all polls
  unsigned arms = 0;
  unsigned disarms = 0;

 private:
  static std::uint32_t burst(RxQueue& queue, Mbuf** mbufs, std::uint32_t limit) noexcept {
    FakeQueue& self = static_cast<FakeQueue&>(queue);
    self.limits.push_back(limit);
    const std::uint32_t count = std::min(limit, self.waiting);
    for (std::uint32_t i = 0; i < count; ++i) mbufs[i] = self.cache_.allocate().release();
    self.waiting -= count;
    return count;
  }

  MempoolCache& cache_;
  FileDescriptor event_;
};

/// A Context with a manual clock, a pool, and a cache.
class PollerFixture : public testing::Test {
 protected:
  ~PollerFixture() override {
    for (const std::string& what : misuse_) ADD_FAILURE() << "misuse: " << what;
  }

  /// A handler that counts frames in `count` and drops them.
  [[nodiscard]] auto counting(std::uint64_t& count) {
    return [this, &count](Burst<64>& burst) {
      count += burst.size();
      burst.drop(handled_, cache_);
    };
  }
  template <class T>
  static T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message());
    return *std::move(result);
  }
  /// A run_once that sleeps for at most a millisecond.
  std::uint32_t run(Poller& poller) { return must(poller.run_once(clock_->now() + std::chrono::milliseconds(1))); }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  std::vector<std::string> log_;
  std::vector<std::string> misuse_;
  Context context_{{.clock = clock_,
                    .log = [this](LogLevel, std::string_view line) { log_.emplace_back(line); },
                    .on_misuse = [this](const Misuse& what) { misuse_.push_back(what.what); },
                    .huge_pages = HugePages::never}};
  Mempool pool_ = must(Mempool::create(context_, {.count = 4096, .data_room = 64, .headroom = 0}));
  MempoolCache cache_{pool_};
  DropCounter handled_{"handled"};
};

}  // namespace pollux::test
