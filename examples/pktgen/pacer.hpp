// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>

namespace pollux::examples {

/// Limits sending to an average rate. After a delay at most `depth` frames are sent at once, so that a pause does not
/// cause a flood.
class Pacer {
 public:
  /// `per_second` is in frames; 0 means no limit.
  Pacer(double per_second, double ticks_per_second, std::uint32_t depth) noexcept
      : per_tick_(per_second / ticks_per_second), depth_(depth) {}

  /// The number of frames to send at `now`, at most `limit`; they count as sent.
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
