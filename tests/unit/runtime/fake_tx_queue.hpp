// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <deque>

#include "pollux/net/queue_driver.hpp"

namespace pollux::test {

/// A transmit queue whose frames are sent when the test says so.
class FakeTxQueue final : public TxQueueDriver {
 public:
  explicit FakeTxQueue(std::uint32_t slots) : slots_(slots) { open_bursts(&burst); }
  ~FakeTxQueue() override = default;

  [[nodiscard]] Result<void> use_cache(const MempoolCache&) override { return {}; }
  [[nodiscard]] std::uint32_t in_flight() const noexcept override { return static_cast<std::uint32_t>(ring_.size()); }

  std::uint32_t sent = 0;      ///< frames at the front of the ring that the next burst frees
  std::uint64_t bursts = 0;    ///< all of them
  std::uint64_t cleanups = 0;  ///< those without frames

 private:
  static std::uint32_t burst(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
    FakeTxQueue& self = static_cast<FakeTxQueue&>(queue);
    ++self.bursts;
    if (count == 0) ++self.cleanups;
    std::uint32_t freed = 0;
    for (; self.sent != 0 && !self.ring_.empty(); --self.sent, ++freed) self.ring_.pop_front();
    if (count == 0) return freed;
    std::uint32_t taken = 0;
    while (taken < count && self.ring_.size() < self.slots_) self.ring_.emplace_back(mbufs[taken++]);
    return taken;
  }

  std::uint32_t slots_;
  std::deque<MbufPtr> ring_;
};

}  // namespace pollux::test
