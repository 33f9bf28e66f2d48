// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/runtime/polled_queue.hpp"

namespace pollux {

struct PollerOptions {
  /// Frames that one run_once may take from all queues together, from 1 to Poller::kMaxBudget; other values become the
  /// nearest of these. Linux's netdev_budget is 300. A queue whose turn the budget ends continues it in the next
  /// run_once.
  std::uint32_t budget = 300;
  /// Called in the poller's thread when an exception has left a callback, with the callback's name. Without it the
  /// first exception of each callback is logged as an error. All are counted (PolledQueueStats, Poller::exceptions).
  std::function<void(std::string_view name, std::exception_ptr exception)> on_exception = {};
  /// A run of a task, a timer or a descriptor's callback that takes longer is a stall: it kept the queues from being
  /// polled. Stalls are counted (Poller::stalls). Time::max(): none is.
  Duration stall_limit = std::chrono::milliseconds(10);
  /// Called in the poller's thread after a stall, with the callback's name and the time it took. Without it the first
  /// stall of each task, and each of others, is logged as a warning.
  std::function<void(std::string_view name, Duration took)> on_stall = {};
};

/// A part of the program that runs between polls.
/// Ownership: the Poller's; a reference stays valid until Poller::remove or the end of the Poller.
/// Thread rule: any thread.
class POLLUX_API PollerTask {
 public:
  PollerTask(const PollerTask&) = delete;
  PollerTask& operator=(const PollerTask&) = delete;

  /// The task runs again; a poller that sleeps wakes up. False: it is scheduled already.
  bool schedule() noexcept;

 private:
  friend class PollerCore;
  PollerTask(PollerCore& core, std::string name, std::function<bool()> work)
      : core_(core), name_(std::move(name)), work_(std::move(work)) {}

  PollerCore& core_;
  std::string name_;
  std::function<bool()> work_;
  std::atomic<bool> scheduled_{true};
  bool threw_ = false;
  bool stalled_ = false;
};

/// Names a timer, to cancel it. The id of a timer that has run or was cancelled is not used again.
struct TimerId {
  std::uint32_t index = UINT32_MAX;
  std::uint32_t generation = 0;
};

/// Names a descriptor of the program, to remove it.
struct DescriptorId {
  std::uint64_t number = 0;
};

/// Polls receive queues and passes their frames to handlers; sleeps while none has frames. It has no thread of its own:
///
///     Poller poller(context);
///     auto queue = poller.add(port.rx(0), [&](Burst<64>& burst) { ... }, {.weight = 64});
///     while (running) {
///       if (const auto frames = poller.run_once(); !frames) ...
///     }
///
/// Queues take turns by deficit round robin (Shreedhar and Varghese, 1995): each may deliver as many frames as its
/// weight in a turn, so a flood on one queue does not starve the others. Tasks together get as much time as the polls,
/// so no flood starves the program either. While any queue keeps the poller awake, all are polled: a poll costs less
/// than a system call. Before it sleeps, the poller arms each queue, which looks for frames once more, so no frame is
/// left behind. Queues of any ports may be mixed, and may share descriptors. Times are those of the Context's clock; on
/// a ManualClock the poller runs in virtual time. Thread rule: one thread at a time calls run_once, and only that
/// thread adds and removes, in a callback or not. PolledQueue and PollerTask say what other threads may do. Callbacks
/// run in run_once; they may add and remove, also what they belong to. So may the destructors of what callbacks own. An
/// exception that leaves a callback is counted and reported, and ends there. Lifetime: the Context outlives the Poller.
/// A queue is removed, or disabled, before its port is closed; or the Poller is destroyed before.
class POLLUX_API Poller {
 public:
  static constexpr std::uint32_t kMaxBudget = 65536;
  /// Calls of run_once between two checks of the program's descriptors while the poller does not sleep.
  static constexpr std::uint32_t kRoundsPerCheck = 32;
  /// A task that takes more time than its share waits for the polls to catch up, at most for this long.
  static constexpr Duration kMaxTaskDebt = std::chrono::milliseconds(10);

  explicit Poller(Context& context, PollerOptions options = {});
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  /// Disarms the queues, and destroys all callbacks without calling them. What their destructors add is destroyed, too.
  /// Not while a thread is in run_once.
  ~Poller();

  /// Polls `queue` from now on. `handler` is called as `handler(burst)` with a Burst<N>& of the frames of one poll,
  /// never empty, and takes what it keeps out of the burst. Frames that are left are dropped, under a named counter.
  /// Errors: invalid_argument (weight or mode out of range), busy (this poller polls the queue already), not_supported
  /// (mode `interrupt` for a queue without a descriptor). Nothing changes then.
  template <BurstHandler Handler>
  [[nodiscard]] Result<PolledQueue*> add(RxQueue& queue, Handler&& handler, PolledQueueOptions options = {}) {
    using Kept = HandledQueue<std::remove_cvref_t<Handler>>;
    if (auto checked = check(queue, options); !checked) return pass_on<void>(std::move(checked));
    const bool enabled = options.enabled;
    return adopt(std::make_unique<Kept>(core(), queue, std::move(options), std::forward<Handler>(handler)), enabled);
  }
  /// Disables the queue and forgets it; without effect if it was removed before. Its handler is destroyed when run_once
  /// returns, or at once outside of it. Error timeout: as PolledQueue::disable; cannot happen in the poller's own
  /// thread.
  [[nodiscard]] Result<void> remove(PolledQueue& queue);
  /// Those that were added and not removed, in the order in which they were added.
  [[nodiscard]] std::vector<PolledQueue*> queues() const;
  /// nullptr: this poller does not poll `queue`.
  [[nodiscard]] PolledQueue* find(const RxQueue& queue) const noexcept;

  /// Adds a task, which is scheduled at once. `work` does a short piece of work and returns whether there is more.
  /// While tasks are scheduled, they get as much time as the polls, or more. One that returned false waits for
  /// `schedule`.
  PollerTask& add_task(std::string name, std::function<bool()> work);
  void remove(PollerTask& task);

  /// `work` runs once when `at` has come. A timer that adds itself anew with a time that has passed runs in the next
  /// run_once.
  TimerId add_timer(Time at, std::function<void()> work);
  /// False: it has run, or was cancelled.
  bool cancel(TimerId timer) noexcept;

  /// `work` is called with the ready events (poll(2)) whenever `descriptor` has some of `events`; it makes the
  /// descriptor unready. The program keeps the descriptor, and removes it here before it closes it. Control::event_fd
  /// is such a descriptor. Error invalid_argument: negative, or no events.
  [[nodiscard]] Result<DescriptorId> add_descriptor(int descriptor, std::function<void(short ready)> work,
                                                    short events = POLLIN);
  /// False: there is none.
  bool remove(DescriptorId descriptor);

  /// Polls each queue in its turn, until the budget is used. Then runs what is due of tasks, timers and descriptors. If
  /// no queue had frames, no task is scheduled and every queue may sleep, it sleeps: until a queue has frames, a
  /// descriptor is ready, a timer is due, another thread schedules something, or `until` has come, and at most
  /// Clock::kMaxWait. It does not sleep after it has run a timer, or if another thread has scheduled something. Returns
  /// the number of frames. Errors: those of Clock::wait, io_error (no descriptor left for the poller's own), bad_state
  /// (called in a callback). It may be called again after an error.
  [[nodiscard]] Result<std::uint32_t> run_once(Time until = Time::max());

  /// The Context's. Any thread.
  [[nodiscard]] Clock& clock() const noexcept;
  /// A run_once that sleeps returns. Any thread.
  void wake() noexcept;
  /// Exceptions that have left callbacks of any kind. Any thread.
  [[nodiscard]] std::uint64_t exceptions() const noexcept;
  /// Callbacks that took longer than PollerOptions::stall_limit. Any thread.
  [[nodiscard]] std::uint64_t stalls() const noexcept;
  /// The name of the queue or callback that is running, to report a poller that does not come back; empty if none is.
  /// Any thread.
  [[nodiscard]] std::string running() const;

 private:
  friend class RunLoop;
  friend class TaskScope;
  [[nodiscard]] PollerCore& core() noexcept { return *core_; }
  [[nodiscard]] Result<void> check(const RxQueue& queue, const PolledQueueOptions& options) const;
  [[nodiscard]] PolledQueue* adopt(std::unique_ptr<PolledQueue> queue, bool enabled);

  std::unique_ptr<PollerCore> core_;
};

}  // namespace pollux
