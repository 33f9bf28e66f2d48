// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>

namespace pollux::tools {

/// The first and the last of some moments, in ticks of the processor's clock.
class TimeSpan {
 public:
  void include(std::uint64_t now) noexcept {
    if (!begun_) first_ = now;
    begun_ = true;
    last_ = now;
  }
  void include(const TimeSpan& other) noexcept {
    if (!other.begun_) return;
    first_ = begun_ ? std::min(first_, other.first_) : other.first_;
    last_ = std::max(last_, other.last_);
    begun_ = true;
  }
  [[nodiscard]] std::uint64_t ticks() const noexcept { return last_ - first_; }

 private:
  bool begun_ = false;
  std::uint64_t first_ = 0;
  std::uint64_t last_ = 0;
};

}  // namespace pollux::tools
