// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "common/slot_schedule.hpp"
#include "pktgen/frame_source.hpp"

namespace pollux::tools {

/// How fast one queue sends.
struct Pace {
  enum class Unit {
    unlimited,  ///< as fast as possible
    frames,     ///< `rate` is in frames per second
    bits,       ///< `rate` is in bits per second on the wire, with preamble and gap
    recorded,   ///< as the frames' source says, `speed` times as fast
  };
  Unit unit = Unit::unlimited;
  std::uint64_t rate = 0;    ///< of all queues together
  std::uint32_t queues = 1;  ///< queues with one rate send in turn
  std::uint32_t queue = 0;   ///< which of them
  double speed = 1;          ///< above 0
  Duration most_behind = kMostBehind;

  /// After a delay, frames that are due for longer are not made up for, so that a pause does not cause a flood.
  static constexpr Duration kMostBehind = std::chrono::milliseconds(1);
};

/// Says when frames are due. Each frame has a slot: that of frame n begins at the start + n / rate, without an error
/// that accumulates.
class Pacer {
 public:
  explicit Pacer(const Pace& pace) noexcept : pace_(pace) {}

  [[nodiscard]] bool unlimited() const noexcept { return pace_.unit == Pace::Unit::unlimited; }

  /// Whether the slot of the next frame of `source` has begun at `now`. The first call starts the schedule.
  [[nodiscard]] bool due(Time now, const FrameSource& source) noexcept {
    if (!start_) begin(now, source.next_length());
    const Time slot = slot_of(source);
    if (slot > now) return false;
    const Duration late = now - slot;
    longest_delay_ = std::max(longest_delay_, late);
    if (late > pace_.most_behind) slip(late - pace_.most_behind);
    return true;
  }
  /// The next frame, of `length` bytes in memory, is sent.
  void sent(std::uint32_t length) noexcept {
    if (slots_) slots_->advance(weight_of(length));
  }

  /// How long a frame waited after its slot had begun, at most.
  [[nodiscard]] Duration longest_delay() const noexcept { return longest_delay_; }
  /// By how much the schedule was put off after delays.
  [[nodiscard]] Duration slipped() const noexcept { return slipped_; }

 private:
  static constexpr double kLongestWait = 1e18;  // nanoseconds: 31 years

  void begin(Time now, std::uint32_t length) noexcept {
    start_ = now;
    if (pace_.unit == Pace::Unit::recorded) return;
    slots_.emplace(now, pace_.rate);
    slots_->advance(weight_of(length) / pace_.queues * pace_.queue);
  }
  [[nodiscard]] Time slot_of(const FrameSource& source) const noexcept {
    if (slots_) return slots_->next();
    const Duration at = source.next_at().value_or(Duration(0));
    const double wait = static_cast<double>(at.count()) / pace_.speed;
    // A time that is too long for the sum is that of a frame which nobody waits for.
    if (at == FrameSource::kNever || wait > kLongestWait) return Time::max();
    return *start_ + Duration(static_cast<Duration::rep>(wait));
  }
  [[nodiscard]] std::uint64_t weight_of(std::uint32_t length) const noexcept {
    return pace_.queues * (pace_.unit == Pace::Unit::bits ? slot_bits(wire_size(length)) : 1);
  }
  void slip(Duration by) noexcept {
    slipped_ += by;
    *start_ += by;
    if (slots_) slots_->delay_until(slots_->next() + by);
  }

  Pace pace_;
  std::optional<Time> start_;
  std::optional<SlotSchedule> slots_;
  Duration longest_delay_{0};
  Duration slipped_{0};
};

}  // namespace pollux::tools
