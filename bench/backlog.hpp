// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace pollux::bench {

/// Frames that wait in a card until a receive queue has buffers for them. Those for which the card has no room are
/// lost.
class Backlog {
 public:
  static constexpr std::uint32_t kQueues = 16;

  explicit Backlog(std::uint32_t room) : room_(room) {}

  void offer(std::uint32_t queue, std::uint32_t count) {
    const std::uint32_t taken = std::min(count, room_ - total_);
    lost_ += count - taken;
    total_ += taken;
    waiting_[queue] += taken;
  }
  [[nodiscard]] std::uint32_t waiting(std::uint32_t queue) const { return waiting_[queue]; }
  void take(std::uint32_t queue, std::uint32_t count) {
    waiting_[queue] -= count;
    total_ -= count;
  }
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  std::uint32_t room_;
  std::uint32_t total_ = 0;
  std::uint64_t lost_ = 0;
  std::array<std::uint32_t, kQueues> waiting_{};
};

}  // namespace pollux::bench
