// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "pollux/base/clock.hpp"
#include "pollux/net/transmit_watch.hpp"

namespace pollux {

/// How long a queue with frames has stood at one position, for a watchdog that looks at it now and then.
class StallTimer {
 public:
  StallTimer() = default;

  /// Notes the position. Returns whether the queue has stood there for `limit`. Between two looks it may have had a
  /// reason to wait, such as a link that was down. So no such time counts as more than a half of the limit.
  [[nodiscard]] bool lasts(std::uint32_t position, Time now, Duration limit) {
    if (position_ != position) *this = StallTimer(position, now);
    lasted_ += std::min(now - std::exchange(seen_, now), limit / 2);
    return lasted_ >= limit;
  }
  /// The queue is empty, or has a reason to wait.
  void end() noexcept { position_.reset(); }

 private:
  StallTimer(std::uint32_t position, Time now) : position_(position), seen_(now) {}

  std::optional<std::uint32_t> position_;
  Time seen_{0};  // at the last look
  Duration lasted_{0};
};

/// Whether transmit queues with frames move.
class TxWatch {
 public:
  /// `position` of a queue: where it is, or nullopt if it has no frames or a reason to wait.
  template <class Position>
  [[nodiscard]] TransmitWatch::Report look(std::uint16_t queues, Time now, Duration limit, Position position) {
    timers_.resize(queues);
    TransmitWatch::Report report;
    for (std::uint16_t queue = 0; queue < queues; ++queue) {
      const std::optional<std::uint32_t> at = position(queue);
      if (!at) {
        timers_[queue].end();
        continue;
      }
      if (timers_[queue].lasts(*at, now, limit)) return {TransmitWatch::Progress::stalled, queue};
      report.progress = TransmitWatch::Progress::sends;
    }
    return report;
  }
  /// All have a reason to wait, or start anew. So their time begins again.
  void forget() noexcept { timers_.clear(); }

 private:
  std::vector<StallTimer> timers_;  // by queue
};

}  // namespace pollux
