// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/rates.hpp"
#include "pollux/base/clock.hpp"

namespace pollux::tools {

/// Bytes that a frame occupies on the wire beyond those that its size counts: preamble, start delimiter and inter-frame
/// gap (IEEE 802.3, clauses 3 and 4). A size includes the frame check sequence.
inline constexpr std::uint64_t kGapBytes = 20;

/// The shortest frame on the wire (IEEE 802.3, clause 4, minFrameSize). A card pads shorter ones.
inline constexpr std::uint64_t kMinWireBytes = 64;

/// The bytes of a frame on the wire, with the frame check sequence. `length` is in memory, without it.
[[nodiscard]] constexpr std::uint64_t wire_size(std::uint64_t length) noexcept {
  return std::max(length + kFcsBytes, kMinWireBytes);
}

/// The bits of a frame's slot on the wire. `size` is in bytes and includes the frame check sequence.
[[nodiscard]] constexpr std::uint64_t slot_bits(std::uint64_t size) noexcept { return (size + kGapBytes) * 8; }

/// The moments at which frames start at an exact rate. Frame n starts at start + (the sum of the weights before it) /
/// rate, rounded down to a nanosecond. The remainder is kept, so no error accumulates.
class SlotSchedule {
 public:
  /// `rate` is in weight per second, above 0: bits per second with weights in bits, or frames per second with weights
  /// of 1.
  SlotSchedule(Time start, std::uint64_t rate) noexcept : next_(start), rate_(rate) {}

  /// When the next frame starts.
  [[nodiscard]] Time next() const noexcept { return next_; }
  /// Goes on to the frame after the next. `weight` is that of the next one, at most 10^9.
  void advance(std::uint64_t weight) noexcept {
    const std::uint64_t nanoseconds = remainder_ + weight % rate_ * kNanoseconds;
    next_ += Duration(static_cast<Duration::rep>(weight / rate_ * kNanoseconds + nanoseconds / rate_));
    remainder_ = nanoseconds % rate_;
  }
  /// The next frame starts at `time` instead, if that is later.
  void delay_until(Time time) noexcept {
    if (time <= next_) return;
    next_ = time;
    remainder_ = 0;
  }

 private:
  static constexpr std::uint64_t kNanoseconds = 1'000'000'000;

  Time next_;
  std::uint64_t rate_;
  std::uint64_t remainder_ = 0;  // in 1 / rate_ nanoseconds
};

}  // namespace pollux::tools
