// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pollux/net/queue_driver.hpp"

namespace pollux::test {

/// A transmit queue that keeps what it takes, until it has no room.
class KeepingQueue final : public TxQueueDriver {
 public:
  KeepingQueue() { open_bursts(&burst); }
  ~KeepingQueue() override { clear(); }
  void clear() {
    for (Mbuf* frame : frames) MbufDeleter{}(frame);
    frames.clear();
  }
  [[nodiscard]] Result<void> use_cache(const MempoolCache&) override { return {}; }
  [[nodiscard]] std::uint32_t in_flight() const noexcept override { return 0; }

  std::vector<Mbuf*> frames;
  std::size_t room = 10'000;

 private:
  static std::uint32_t burst(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
    auto& self = static_cast<KeepingQueue&>(queue);
    std::uint32_t taken = 0;
    for (; taken < count && self.frames.size() < self.room; ++taken) self.frames.push_back(mbufs[taken]);
    return taken;
  }
};

}  // namespace pollux::test
