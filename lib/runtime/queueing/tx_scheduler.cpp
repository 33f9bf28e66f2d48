// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/queueing/tx_scheduler.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace pollux {
namespace {

/// a - b if that is positive, in totals modulo 2^32; else 0.
std::uint32_t excess(std::uint32_t a, std::uint32_t b) noexcept {
  const std::uint32_t difference = a - b;
  return static_cast<std::int32_t>(difference) > 0 ? difference : 0;
}

Result<void> check(const TxSchedulerOptions& options) {
  if (options.queue == nullptr) {
    return fail(ErrorCode::invalid_argument, "a transmit scheduler has no queueing discipline",
                "set TxSchedulerOptions::queue, such as to make_fq_codel()");
  }
  if (options.wake >= options.stop && (options.stop != 0 || options.wake != 0)) {
    return fail(ErrorCode::invalid_argument,
                "a transmit scheduler stops at " + std::to_string(options.stop) + " frames and wakes at " +
                    std::to_string(options.wake),
                "set TxSchedulerOptions::wake below stop, or both to 0");
  }
  if (options.ring_interval < std::chrono::microseconds(1) || options.ring_interval > std::chrono::seconds(1)) {
    return fail(
        ErrorCode::invalid_argument,
        "a transmit scheduler looks at a full ring every " + std::to_string(options.ring_interval.count()) + " ns",
        "set TxSchedulerOptions::ring_interval from 1 us to 1 s");
  }
  return {};
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

Result<std::unique_ptr<TxScheduler>> TxScheduler::create(TxQueue& tx, TxSchedulerOptions options) {
  if (auto checked = check(options); !checked) return pass_on(std::move(checked));
  std::optional<DynamicQueueLimits> limits;
  if (options.byte_limits) {
    auto made = DynamicQueueLimits::create(*options.byte_limits);
    if (!made) return pass_on(std::move(made));
    limits = *made;
  }
  return std::unique_ptr<TxScheduler>(new TxScheduler(tx, std::move(options), limits));
}

TxScheduler::TxScheduler(TxQueue& tx, TxSchedulerOptions options, std::optional<DynamicQueueLimits> limits)
    : tx_(tx),
      queue_(std::move(options.queue)),
      limits_(limits),
      stop_(options.stop),
      wake_(options.wake),
      ring_interval_(options.ring_interval),
      on_stop_(std::move(options.on_stop)),
      on_wake_(std::move(options.on_wake)) {}

TxScheduler::~TxScheduler() { detach(); }

bool TxScheduler::after_enqueue() noexcept {
  if (task_ != nullptr) task_->schedule();
  if (stop_ == 0) return true;
  if (!stopped_ && waiting() >= stop_) {
    stopped_ = true;
    ++stats_.stops;
    if (on_stop_) on_stop_();
  }
  return !stopped_;
}

void TxScheduler::wake_if_due() noexcept {
  if (!stopped_ || waiting() > wake_) return;
  stopped_ = false;
  if (on_wake_) on_wake_();
}

Time TxScheduler::run(Time now) noexcept {
  if (limits_) note_completed(now);
  limited_ = false;
  const std::uint64_t end = stats_.sent + kMaxFramesPerRun;
  while (stats_.sent < end && fetch(now)) {
    send();
    if (!pending_.empty()) break;
  }
  wake_if_due();
  if (!pending_.empty()) {
    ++stats_.ring_full;
    return now + ring_interval_;
  }
  if (limited_) {
    ++stats_.limited;
    return now + ring_interval_;
  }
  return queue_->next_time(now);
}

/// Whether there are frames to send.
bool TxScheduler::fetch(Time now) noexcept {
  if (!pending_.empty()) return true;
  if (!limits_) return queue_->dequeue(pending_, now) != 0;
  const std::int32_t available = limits_->available();
  if (available < 0) {
    limited_ = queue_->next_time(now) <= now;
    return false;
  }
  return queue_->dequeue(pending_, now, static_cast<std::uint32_t>(available) + 1) != 0;
}

void TxScheduler::send() noexcept {
  if (!limits_) {
    stats_.sent += tx_.tx_burst(pending_);
    return;
  }
  std::array<std::uint32_t, decltype(pending_)::capacity()> lengths;
  for (std::uint32_t i = 0; i < pending_.size(); ++i) lengths[i] = pending_[i].packet_length();
  const std::uint32_t before = tx_.in_flight();
  const std::uint32_t taken = tx_.tx_burst(pending_);
  if (taken == 0) return;
  stats_.sent += taken;
  std::uint32_t bytes = 0;
  for (std::uint32_t i = 0; i < taken; ++i) bytes += lengths[i];
  stats_.sent_bytes += bytes;
  limits_->queued(bytes - lengths[taken - 1]);
  limits_->queued(lengths[taken - 1]);
  // A frame needs a slot or more. If the burst also freed slots, that hides some that it wrote; so bytes may count as
  // completed later than they are. They count too early only if the queue dropped frames of the burst, which it cannot
  // send: these need no slot.
  const std::uint32_t after = tx_.in_flight();
  const std::uint32_t written = after > before ? after - before : 0;
  if (written > taken) return note_sent(written, bytes);
  for (std::uint32_t i = 0; i < taken; ++i) note_sent(1, lengths[i]);
}

void TxScheduler::note_sent(std::uint32_t slots, std::uint32_t bytes) noexcept {
  slots_ += slots;
  if (end_sent_ - first_sent_ > kSentMask) {
    Sent& last = sent_[(end_sent_ - 1) & kSentMask];
    last = {slots_, last.bytes + bytes};
    return;
  }
  sent_[end_sent_++ & kSentMask] = {slots_, bytes};
}

void TxScheduler::note_completed(Time now) noexcept {
  tx_.tx_done_cleanup();
  const std::uint32_t in_flight = tx_.in_flight();
  std::uint32_t bytes = 0;
  for (; first_sent_ != end_sent_; ++first_sent_) {
    const Sent& sent = sent_[first_sent_ & kSentMask];
    // The slots in flight are the last ones that were written.
    if (slots_ - sent.end < in_flight) break;
    bytes += sent.bytes;
  }
  if (bytes != 0) limits_->completed(bytes, now);
}

Result<void> TxScheduler::attach(Poller& poller, const Clock& clock) {
  if (poller_ != nullptr) {
    return fail(ErrorCode::bad_state, "the transmit scheduler is attached to a poller", "detach it first");
  }
  poller_ = &poller;
  clock_ = &clock;
  task_ = &poller.add_task("transmit scheduler", [this] { return run_in_poller(); });
  return {};
}

void TxScheduler::detach() {
  if (poller_ == nullptr) return;
  if (timer_) poller_->cancel(*std::exchange(timer_, std::nullopt));
  poller_->remove(*std::exchange(task_, nullptr));
  poller_ = nullptr;
}

bool TxScheduler::run_in_poller() {
  const Time now = clock_->now();
  const Time next = run(now);
  if (next <= now) return true;
  if (timer_) poller_->cancel(*std::exchange(timer_, std::nullopt));
  if (next != Time::max()) {
    timer_ = poller_->add_timer(next, [this] {
      timer_.reset();
      task_->schedule();
    });
  }
  return false;
}

}  // namespace pollux
