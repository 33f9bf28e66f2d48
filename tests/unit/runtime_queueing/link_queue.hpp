// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>

#include "pollux/base/clock.hpp"
#include "pollux/net/queue_driver.hpp"

namespace pollux::test {

/// A transmit queue with a ring of `slots` and a link of `rate` bytes a second. The test says what time it is.
class LinkQueue final : public TxQueueDriver {
 public:
  LinkQueue(std::uint32_t slots, std::uint64_t rate) : slots_(slots), rate_(rate) { open_bursts(&burst); }
  ~LinkQueue() override {
    for (const Entry& entry : ring_) MbufDeleter{}(entry.frame);
  }

  /// Sends what the link could have sent until `now`; `on_sent` is called with each frame and the time.
  void advance(Time now) {
    now_ = now;
    while (done_ < ring_.size() && ring_[done_].sent_at <= now) {
      if (on_sent) on_sent(*ring_[done_].frame, ring_[done_].sent_at);
      ++done_;
    }
  }
  [[nodiscard]] Result<void> use_cache(const MempoolCache&) override { return {}; }
  [[nodiscard]] std::uint32_t in_flight() const noexcept override { return static_cast<std::uint32_t>(ring_.size()); }

  std::function<void(Mbuf& frame, Time at)> on_sent;

 private:
  struct Entry {
    Mbuf* frame;
    Time sent_at;
  };

  static std::uint32_t burst(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
    LinkQueue& self = static_cast<LinkQueue&>(queue);
    const std::size_t freed = self.done_;
    for (; self.done_ != 0; --self.done_) {
      MbufDeleter{}(self.ring_.front().frame);
      self.ring_.pop_front();
    }
    if (count == 0) return static_cast<std::uint32_t>(freed);
    const auto taken = static_cast<std::uint32_t>(std::min<std::size_t>(count, self.slots_ - self.ring_.size()));
    for (std::uint32_t i = 0; i < taken; ++i) {
      self.free_at_ = std::max(self.free_at_, self.now_) +
                      Duration(static_cast<Duration::rep>(mbufs[i]->packet_length() * 1'000'000'000ULL / self.rate_));
      self.ring_.push_back({mbufs[i], self.free_at_});
    }
    return taken;
  }

  std::uint32_t slots_;
  std::uint64_t rate_;
  Time now_{};
  Time free_at_{};
  std::deque<Entry> ring_;
  std::size_t done_ = 0;  // sent, but not freed
};

}  // namespace pollux::test
