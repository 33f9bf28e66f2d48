// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>

namespace pollux::examples {

/// Says how many frames may go now, so that a rate is held on the average. What could not go in time is made up for by
/// at most `depth` frames at once: a pause does not become a flood.
class Pacer {
 public:
  /// `per_second` frames; 0 is without limit.
  Pacer(double per_second, double ticks_per_second, std::uint32_t depth) noexcept
      : per_tick_(per_second / ticks_per_second), depth_(depth) {}

  /// Frames that may go at `now`, at most `limit`; they count as gone.
  [[nodiscard]] std::uint32_t grant(std::uint64_t now, std::uint32_t limit) noexcept {
    if (per_tick_ <= 0) return limit;
    if (last_ == 0) last_ = now;
    tokens_ = std::min(tokens_ + static_cast<double>(now - last_) * per_tick_, static_cast<double>(depth_));
    last_ = now;
    const std::uint32_t granted = std::min(limit, static_cast<std::uint32_t>(tokens_));
    tokens_ -= granted;
    return granted;
  }

 private:
  double per_tick_;
  double depth_;
  double tokens_ = 1;
  std::uint64_t last_ = 0;
};

}  // namespace pollux::examples
