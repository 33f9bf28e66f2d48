// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/net/tx_queue.hpp"
#include "pollux/runtime/poller.hpp"
#include "pollux/runtime/queueing/queue_disciplines.hpp"

namespace pollux {

/// Bounds of the limit.
struct DynamicQueueLimitsOptions {
  static constexpr std::uint32_t kMaxBytes = 1U << 30U;  ///< the largest `max_limit`, in bytes
  std::uint32_t min_limit = 0;                           ///< bytes
  std::uint32_t max_limit = kMaxBytes;                   ///< bytes, `min_limit` to kMaxBytes
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

/// How frames wait for a transmit queue.
struct TxSchedulerOptions {
  std::unique_ptr<QueueDiscipline> queue;  ///< what frames wait in
  /// The program should stop sending while this many frames wait, and go on when at most `wake` do; 0: no thresholds.
  /// As Linux's netif_stop_queue and netif_wake_queue.
  std::uint32_t stop = 0;
  std::uint32_t wake = 0;  ///< less than `stop`, or both 0
  /// Called once when the threshold is reached: `on_stop` in `enqueue`, `on_wake` in `run`. They must not throw or call
  /// the scheduler, but `on_wake` may schedule a task that does.
  std::function<void()> on_stop = {};
  std::function<void()> on_wake = {};  ///< see `on_stop`
  /// Byte queue limits: how much the ring holds follows from what it sends. Empty: the ring is filled.
  std::optional<DynamicQueueLimitsOptions> byte_limits = DynamicQueueLimitsOptions{};
  /// When to look again whether the card has sent frames, if the ring takes no more; from 1 us to 1 s.
  Duration ring_interval = std::chrono::microseconds(50);
};

/// Counts since `create`.
struct TxSchedulerStats {
  std::uint64_t enqueued = 0;    ///< frames
  std::uint64_t sent = 0;        ///< frames that the ring took
  std::uint64_t sent_bytes = 0;  ///< of these frames, if byte limits are on
  std::uint64_t ring_full = 0;   ///< runs that ended since the ring was full
  std::uint64_t limited = 0;     ///< runs that ended at the byte limit
  std::uint64_t stops = 0;       ///< calls of on_stop
};

/// Sends through a queueing discipline: frames wait in it until the ring takes them, in the discipline's order.
/// enqueued = sent + dropped (`queue().dropped()`) + waiting.
///
///     scheduler->enqueue(burst, now);       // in place of tx.tx_burst(burst)
///     const Time next = scheduler->run(now);
///
/// `attach` lets a Poller call `run`; then the program only enqueues.
/// Ownership: owns the discipline, and the frames that wait. Borrows the transmit queue, which must outlive it, and on
/// which nobody else sends.
/// Thread rule: one thread at a time; if attached, the poller's.
class POLLUX_API TxScheduler {
 public:
  /// `run` ends once it has sent this many frames, or up to 31 more of its last burst, so that it is a short piece of
  /// work.
  static constexpr std::uint32_t kMaxFramesPerRun = 256;

  /// Error invalid_argument: no discipline, or an option is out of its range.
  [[nodiscard]] static Result<std::unique_ptr<TxScheduler>> create(TxQueue& tx, TxSchedulerOptions options);
  TxScheduler(const TxScheduler&) = delete;
  TxScheduler& operator=(const TxScheduler&) = delete;
  /// Detaches. Frames that wait are unnamed drops of their pools.
  ~TxScheduler();

  /// Takes all frames of `burst`. Returns false while the program should stop sending; then frames are taken all the
  /// same.
  template <std::uint32_t Capacity>
  bool enqueue(Burst<Capacity>& burst, Time now) noexcept {
    stats_.enqueued += burst.size();
    queue_->enqueue(burst, now);
    return after_enqueue();
  }
  /// Sends what the discipline, the byte limit and the ring allow. Returns when to call it next: `now` if there is more
  /// to do at once, Time::max() if nothing waits.
  Time run(Time now) noexcept;

  /// `poller` calls `run` from now on, when frames were enqueued, when a shaper lets frames go, and every
  /// `ring_interval` while the ring is full. RunLoop::drain does not wait for it: in a RunLoop, call `run` in a
  /// transmit work instead (RunLoop::add_transmit). `clock` is the poller's Context's. Error bad_state: it is attached.
  [[nodiscard]] Result<void> attach(Poller& poller, const Clock& clock);
  /// Call it before the poller is destroyed. Without effect if it is not attached.
  void detach();

  /// Whether the program should stop sending: `stop` was reached, and `wake` not since.
  [[nodiscard]] bool is_stopped() const noexcept { return stopped_; }
  /// Frames that wait.
  [[nodiscard]] std::uint64_t waiting() const noexcept { return queue_->backlog().frames + pending_.size(); }
  /// The discipline of the options, for its counters.
  [[nodiscard]] QueueDiscipline& queue() noexcept { return *queue_; }
  /// The byte queue limits; nullptr if they are off.
  [[nodiscard]] const DynamicQueueLimits* byte_limits() const noexcept { return limits_ ? &*limits_ : nullptr; }
  /// Counts since `create`.
  [[nodiscard]] const TxSchedulerStats& stats() const noexcept { return stats_; }

 private:
  /// A frame in the ring, or several of which only the last slot is known.
  struct Sent {
    std::uint32_t end;  // slots written since the beginning, after them
    std::uint32_t bytes;
  };
  static constexpr std::uint32_t kSentMask = 1023;

  TxScheduler(TxQueue& tx, TxSchedulerOptions options, std::optional<DynamicQueueLimits> limits);

  bool after_enqueue() noexcept;
  void wake_if_due() noexcept;
  [[nodiscard]] bool fetch(Time now) noexcept;
  void send() noexcept;
  void note_sent(std::uint32_t slots, std::uint32_t bytes) noexcept;
  void note_completed(Time now) noexcept;
  bool run_in_poller();

  TxQueue& tx_;
  std::unique_ptr<QueueDiscipline> queue_;
  std::optional<DynamicQueueLimits> limits_;
  bool stopped_ = false;
  bool limited_ = false;  // the byte limit ended the run
  std::uint32_t stop_;
  std::uint32_t wake_;
  Duration ring_interval_;
  TxSchedulerStats stats_;
  std::uint32_t slots_ = 0;       // slots of the ring that were written, modulo 2^32
  std::uint32_t first_sent_ = 0;  // positions in sent_
  std::uint32_t end_sent_ = 0;
  Burst<32> pending_;  // dequeued, but not taken by the ring
  std::function<void()> on_stop_;
  std::function<void()> on_wake_;
  Poller* poller_ = nullptr;
  const Clock* clock_ = nullptr;
  PollerTask* task_ = nullptr;
  std::optional<TimerId> timer_;
  std::array<Sent, kSentMask + 1> sent_;
};

}  // namespace pollux
