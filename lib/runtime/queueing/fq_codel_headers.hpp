// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>

#include "pollux/base/clock.hpp"
#include "pollux/mem/mbuf.hpp"

namespace pollux::queueing {

/// A hash of a frame's flow: addresses and, unless it is a fragment, protocol and ports. Frames without IP are one flow
/// for each pair of MAC addresses. `seed` is secret, so that nobody can construct flows with the same hash at will.
[[nodiscard]] std::uint32_t flow_hash(const Mbuf& frame, std::uint64_t seed) noexcept;

/// Sets "congestion experienced" (RFC 3168, 5) in a frame of an ECN-capable transport, and corrects the checksum of an
/// IPv4 header. True also if it was set already. False: the frame has no IP header in its first segment, is not
/// ECN-capable, or its bytes are shared or the application's.
[[nodiscard]] bool mark_congestion(Mbuf& frame) noexcept;

/// Time in units of 1,024 ns, modulo 2^32: fine enough for CoDel, and what Linux uses, so that decisions are the same.
class CodelTime {
 public:
  constexpr CodelTime() = default;
  constexpr explicit CodelTime(std::uint32_t units) noexcept : units_(units) {}
  [[nodiscard]] static constexpr CodelTime from(Duration time) noexcept {
    return CodelTime(static_cast<std::uint32_t>(units_of(time)));
  }
  /// All bits, to compute a span that may be longer than the units can tell.
  [[nodiscard]] static constexpr std::uint64_t units_of(Duration time) noexcept {
    return static_cast<std::uint64_t>(time.count()) >> 10U;
  }
  /// A span that is longer than half of the range counts as half, so that it is after each shorter one.
  [[nodiscard]] static constexpr CodelTime span(std::uint64_t units) noexcept {
    return CodelTime(static_cast<std::uint32_t>(std::min<std::uint64_t>(units, 0x7FFFFFFF)));
  }
  [[nodiscard]] constexpr std::uint32_t units() const noexcept { return units_; }
  [[nodiscard]] constexpr bool is_after(CodelTime other) const noexcept {
    return static_cast<std::int32_t>(units_ - other.units_) > 0;
  }
  [[nodiscard]] friend constexpr CodelTime operator+(CodelTime a, CodelTime b) noexcept {
    return CodelTime(a.units_ + b.units_);
  }
  [[nodiscard]] friend constexpr CodelTime operator-(CodelTime a, CodelTime b) noexcept {
    return CodelTime(a.units_ - b.units_);
  }

 private:
  std::uint32_t units_ = 0;
};

/// 1 / sqrt(count), which CoDel's control law needs (RFC 8289), as a fraction of 16 bits. One step of Newton's
/// method follows each change of the count; it converges since the count changes by one as a rule.
class InverseSquareRoot {
 public:
  void reset() noexcept { fraction_ = kOne; }
  void follow(std::uint32_t count) noexcept {
    // x' = x * (3 - count * x^2) / 2, with x and x^2 as fractions of 32 bits.
    const std::uint64_t x = std::uint64_t{fraction_} << 16U;
    const std::uint64_t factor = (std::uint64_t{3} << 32U) - count * (x * x >> 32U);
    // The factor has up to 34 bits: without its last two the product has 64.
    fraction_ = static_cast<std::uint16_t>(((factor >> 2U) * x >> 31U) >> 16U);
  }
  [[nodiscard]] CodelTime times(CodelTime interval) const noexcept {
    return CodelTime(static_cast<std::uint32_t>(std::uint64_t{interval.units()} * fraction_ >> 16U));
  }

 private:
  static constexpr std::uint16_t kOne = 0xFFFF;
  std::uint16_t fraction_ = 0;
};

struct CodelParameters {
  CodelTime target;
  CodelTime interval;
  std::uint32_t mtu = 0;
};

/// The state of CoDel for one queue: RFC 8289.
class Codel {
 public:
  /// RFC 8289: whether a frame that waited for `sojourn` may be dropped, since the delay has been above the target
  /// for an interval. `backlog`: bytes that still wait.
  [[nodiscard]] bool may_drop(const CodelParameters& parameters, CodelTime sojourn, std::uint64_t backlog,
                              CodelTime now) noexcept {
    if (parameters.target.is_after(sojourn) || backlog <= parameters.mtu) {
      above_ = false;
      return false;
    }
    if (!above_) {
      above_ = true;
      drop_allowed_ = now + parameters.interval;
      return false;
    }
    return now.is_after(drop_allowed_);
  }
  void is_empty() noexcept { above_ = false; }

  [[nodiscard]] bool dropping() const noexcept { return dropping_; }
  void leave_dropping() noexcept { dropping_ = false; }
  [[nodiscard]] bool drop_is_due(CodelTime now) const noexcept { return !drop_next_.is_after(now); }

  /// RFC 8289: enters the dropping state. If it was left recently, the count starts near where it was.
  void enter_dropping(const CodelParameters& parameters, CodelTime now) noexcept {
    dropping_ = true;
    const std::uint32_t since_last = count_ - last_count_;
    const CodelTime recently(16 * parameters.interval.units());
    if (since_last > 1 && recently.is_after(now - drop_next_)) {
      count_ = since_last;
      root_.follow(count_);
    } else {
      count_ = 1;
      root_.reset();
    }
    last_count_ = count_;
    drop_next_ = now + root_.times(parameters.interval);
  }
  void count_drop() noexcept {
    ++count_;
    root_.follow(count_);
  }
  void schedule_next(const CodelParameters& parameters) noexcept {
    drop_next_ = drop_next_ + root_.times(parameters.interval);
  }
  /// Drops for another reason make CoDel react more strongly, too.
  void add_drops(std::uint32_t frames) noexcept { count_ += frames; }

 private:
  std::uint32_t count_ = 0;       // drops since the dropping state was entered
  std::uint32_t last_count_ = 0;  // count_ when it was entered last
  CodelTime drop_next_;
  CodelTime drop_allowed_;  // while above_
  InverseSquareRoot root_;
  bool above_ = false;
  bool dropping_ = false;
};

}  // namespace pollux::queueing
