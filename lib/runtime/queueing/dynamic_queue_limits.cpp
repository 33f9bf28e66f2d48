// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/queueing/dynamic_queue_limits.hpp"

#include <algorithm>
#include <string>

namespace pollux {
namespace {

/// a - b if that is positive, in totals modulo 2^32; else 0.
std::uint32_t excess(std::uint32_t a, std::uint32_t b) noexcept {
  const std::uint32_t difference = a - b;
  return static_cast<std::int32_t>(difference) > 0 ? difference : 0;
}

}  // namespace

Result<DynamicQueueLimits> DynamicQueueLimits::create(const DynamicQueueLimitsOptions& options, Time now) {
  if (options.min_limit > options.max_limit || options.max_limit > DynamicQueueLimitsOptions::kMaxBytes) {
    return fail(ErrorCode::invalid_argument,
                "byte queue limits from " + std::to_string(options.min_limit) + " to " +
                    std::to_string(options.max_limit) + " bytes are out of order or above 2^30",
                "set DynamicQueueLimitsOptions::min_limit to at most max_limit");
  }
  if (options.hold_time <= Duration{}) {
    return fail(ErrorCode::invalid_argument, "byte queue limits have no hold time",
                "set DynamicQueueLimitsOptions::hold_time, such as 1 s");
  }
  return DynamicQueueLimits(options, now);
}

void DynamicQueueLimits::completed(std::uint32_t bytes, Time now) noexcept {
  const std::uint32_t had = outstanding();
  const std::uint32_t done = completed_ + std::min(bytes, had);
  const std::uint32_t above = excess(had, limit_);
  const bool is_empty = queued_ == done;
  const bool was_empty = queued_then_ == completed_;
  const bool old_ones_done = static_cast<std::int32_t>(done - queued_then_) >= 0;

  std::uint32_t limit = limit_;
  if ((above != 0 && is_empty) || (excess_then_ != 0 && old_ones_done)) {
    // The limit kept frames back while the ring ran empty, or may have done so between two completions.
    limit += excess(done, queued_then_) + excess_then_;
    restart_hold(now);
  } else if (!is_empty && !was_empty && !old_ones_done) {
    least_unneeded_ = std::min(least_unneeded_, unneeded(done));
    if (now - hold_began_ > options_.hold_time) {
      limit = excess(limit, least_unneeded_);
      restart_hold(now);
    }
  }
  limit = std::clamp(limit, options_.min_limit, options_.max_limit);

  excess_then_ = limit == limit_ ? above : 0;
  limit_ = limit;
  may_queue_up_to_ = done + limit;
  last_addition_then_ = last_addition_;
  queued_then_ = queued_;
  completed_ = done;
}

void DynamicQueueLimits::restart_hold(Time now) noexcept {
  hold_began_ = now;
  least_unneeded_ = kNone;
}

/// Bytes of the limit without which the ring would not have run empty: it needs twice what is sent between two
/// completions. What one addition took beyond the limit counts, too.
std::uint32_t DynamicQueueLimits::unneeded(std::uint32_t done) const noexcept {
  const std::uint32_t beyond_need = excess(limit_ + excess_then_, 2 * (done - completed_));
  const std::uint32_t by_addition = excess_then_ != 0 ? excess(last_addition_then_, excess_then_) : 0;
  return std::max(beyond_need, by_addition);
}

}  // namespace pollux
