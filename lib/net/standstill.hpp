// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "pollux/base/clock.hpp"

namespace pollux {

/// How long a queue with frames has stood at one position, for a watchdog that looks at it now and then.
class Standstill {
 public:
  Standstill() = default;

  /// Notes the position. Returns whether the queue has stood there for `limit`. Between two looks it may have had a
  /// reason to wait, such as a link that was down. So no such time counts as more than a half of the limit.
  [[nodiscard]] bool lasts(std::uint32_t position, Time now, Duration limit) {
    if (position_ != position) *this = Standstill(position, now);
    lasted_ += std::min(now - std::exchange(seen_, now), limit / 2);
    return lasted_ >= limit;
  }
  /// The queue is empty, or has a reason to wait.
  void end() noexcept { position_.reset(); }

 private:
  Standstill(std::uint32_t position, Time now) : position_(position), seen_(now) {}

  std::optional<std::uint32_t> position_;
  Time seen_{0};  // at the last look
  Duration lasted_{0};
};

}  // namespace pollux
