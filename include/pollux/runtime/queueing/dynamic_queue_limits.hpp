// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

struct DynamicQueueLimitsOptions {
  static constexpr std::uint32_t kMaxBytes = 1U << 30U;
  std::uint32_t min_limit = 0;          ///< bytes
  std::uint32_t max_limit = kMaxBytes;  ///< bytes, `min_limit` to kMaxBytes
  /// How long the queue must have had more bytes than it needed before the limit becomes lower; above 0.
  Duration hold_time = std::chrono::seconds(1);
};

/// Byte queue limits: how many bytes a transmit ring should hold, so that it never runs empty while more frames wait,
/// and yet holds frames for as short a time as possible. Takes the decisions of Linux's dynamic queue limits
/// (include/linux/dynamic_queue_limits.h; "Byte queue limits", LWN, 2011).
///
/// The limit rises when the ring ran empty, or may have, while frames waited for it. It falls by the bytes that were
/// never needed during `hold_time`.
/// Thread rule: one thread at a time.
class POLLUX_API DynamicQueueLimits {
 public:
  /// Error invalid_argument: the limits are not in order, or the hold time is not above 0.
  [[nodiscard]] static Result<DynamicQueueLimits> create(const DynamicQueueLimitsOptions& options = {}, Time now = {});

  /// Bytes that the ring may still take; negative: it has more than the limit. Frames may be added while it is not
  /// negative, so the last one may exceed the limit.
  [[nodiscard]] std::int32_t available() const noexcept {
    return static_cast<std::int32_t>(may_queue_up_to_ - queued_);
  }
  /// `bytes` were put into the ring, together.
  void queued(std::uint32_t bytes) noexcept {
    last_addition_ = bytes;
    queued_ += bytes;
  }
  /// `bytes` of the ring have been sent since the last call. More than there were count as all of them.
  void completed(std::uint32_t bytes, Time now) noexcept;
  /// Bytes in the ring.
  [[nodiscard]] std::uint32_t outstanding() const noexcept { return queued_ - completed_; }
  /// The limit, in bytes.
  [[nodiscard]] std::uint32_t limit() const noexcept { return limit_; }

 private:
  DynamicQueueLimits(const DynamicQueueLimitsOptions& options, Time now) noexcept
      : options_(options), limit_(options.min_limit), may_queue_up_to_(options.min_limit), hold_began_(now) {}

  void restart_hold(Time now) noexcept;
  [[nodiscard]] std::uint32_t unneeded(std::uint32_t done) const noexcept;

  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  DynamicQueueLimitsOptions options_;
  std::uint32_t limit_;
  // Totals of bytes, modulo 2^32.
  std::uint32_t queued_ = 0;
  std::uint32_t completed_ = 0;
  std::uint32_t may_queue_up_to_;
  std::uint32_t last_addition_ = 0;
  // At the last completion.
  std::uint32_t queued_then_ = 0;
  std::uint32_t excess_then_ = 0;  // bytes above the limit that the ring had had
  std::uint32_t last_addition_then_ = 0;
  // Since hold_began_.
  std::uint32_t least_unneeded_ = kNone;
  Time hold_began_;
};

}  // namespace pollux
