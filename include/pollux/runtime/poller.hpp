// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <poll.h>

#include <atomic>
#include <chrono>
#include <concepts>
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
#include "pollux/mem/burst.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/net/burst_gate.hpp"
#include "pollux/net/rx_queue.hpp"

namespace pollux {

class PollerCore;

/// What a Poller does for a queue that has no frames.
enum class PollMode : std::uint8_t {
  busy,       ///< polls it: the poller never sleeps while such a queue is enabled
  interrupt,  ///< sleeps as soon as a poll finds nothing
  adaptive,   ///< polls it for a while, then sleeps; see PolledQueue::spin_window
};

/// How a queue is polled. All but the name can be changed later.
struct PolledQueueOptions {
  /// Frames that the queue may deliver in one turn, from 1 to PolledQueue::kMaxWeight. Queues with a backlog share the
  /// poller in proportion to their weights. Linux's NAPI_POLL_WEIGHT is 64.
  std::uint32_t weight = 64;
  PollMode mode = PollMode::adaptive;  ///< `interrupt` needs RxQueue::event_fd
  std::string name = {};               ///< for messages; empty: "queue N", in the order in which they were added
  bool enabled = true;                 ///< false: not polled until `enable`, as a new NAPI instance
};

/// Counts since the queue was added.
struct PolledQueueStats {
  std::uint64_t frames = 0;            ///< passed to the handler
  std::uint64_t wakeups = 0;           ///< sleeps that the queue's descriptor ended
  std::uint64_t exceptions = 0;        ///< exceptions that left the handler
  std::uint64_t poller_left = 0;       ///< frames that the handler left in its burst; they were dropped
  std::uint64_t poller_exception = 0;  ///< frames in the burst of a handler that threw; they were dropped
};

/// A receive queue in a Poller, with the contract of Linux's NAPI (docs.kernel.org/networking/napi.html). An enabled
/// queue is polled up to its weight. A poll that finds fewer frames than it may take completes the queue, so that it
/// may be armed and the poller may sleep. A disabled queue is not touched.
/// Ownership: the Poller's; a reference stays valid until Poller::remove or the end of the Poller.
/// Thread rule: every public member may be called from any thread.
class POLLUX_API PolledQueue {
 public:
  static constexpr std::uint32_t kMaxWeight = 1024;  ///< frames
  /// The rule of an adaptive queue, which is that of Linux's cpuidle governor haltpoll
  /// (docs.kernel.org/virt/guest-halt-polling.html) with its defaults. The queue is polled for the length of its window
  /// before the poller sleeps. If frames come after the window, but within kMaxSpin, the window doubles, from kMinSpin
  /// to kMaxSpin. If they come later, it is halved, and below kMinSpin it is 0: then the poller sleeps at once.
  static constexpr Duration kMinSpin = std::chrono::microseconds(50);
  static constexpr Duration kMaxSpin = std::chrono::microseconds(200);  ///< see kMinSpin
  /// Beyond that rule, the window is also halved if frames come less often than this, since then a wake-up for each
  /// costs less than polling. `mean_interval` is compared, so that the gap between two batches does not count as one
  /// between frames.
  static constexpr Duration kMaxInterval = std::chrono::microseconds(50);
  /// About so many of the last frames decide the mean interval.
  static constexpr std::uint32_t kAveragedFrames = 8;
  /// A window also ends after this many empty polls, since virtual time does not pass while a program polls.
  static constexpr std::uint32_t kMaxEmptyPolls = 4096;
  /// The default limit of `disable`.
  static constexpr Duration kDisableLimit = std::chrono::seconds(1);

  PolledQueue(const PolledQueue&) = delete;
  PolledQueue& operator=(const PolledQueue&) = delete;
  virtual ~PolledQueue();

  /// As in the options, or "queue N".
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Frames that it may deliver in one turn.
  [[nodiscard]] std::uint32_t weight() const noexcept { return weight_.load(std::memory_order_relaxed); }
  /// The weight of the turns to come. Error invalid_argument: not from 1 to kMaxWeight; the weight stays as it was.
  [[nodiscard]] Result<void> set_weight(std::uint32_t weight);
  /// As in the options or set since.
  [[nodiscard]] PollMode mode() const noexcept { return mode_.load(std::memory_order_relaxed); }
  /// Error not_supported: `interrupt`, for a queue without a descriptor (RxQueue::event_fd); the mode stays as it was.
  [[nodiscard]] Result<void> set_mode(PollMode mode);

  /// The queue is polled from now on; a poller that sleeps wakes up. Without effect on an enabled queue.
  void enable() noexcept;
  /// The queue is not polled any more. Waits until a poll that is under way on another thread has ended. After that the
  /// poller does not touch the queue, and its port may be closed. In the poller's own thread, such as in a handler, it
  /// does not wait. Without effect on a disabled queue. Error timeout: the handler did not end within `limit`; no
  /// further poll begins, and disable may be called again.
  [[nodiscard]] Result<void> disable(Duration limit = kDisableLimit);
  /// Whether it is polled. Another thread may change this at any time.
  [[nodiscard]] bool is_enabled() const noexcept { return enabled_.load(std::memory_order_acquire); }

  /// The queue is polled once more, although its descriptor has not become readable; a poller that sleeps wakes up.
  /// False: it is scheduled already, or disabled; then nothing happens.
  bool schedule() noexcept;

  /// Each number by itself is exact; together they may be from different moments.
  [[nodiscard]] PolledQueueStats stats() const noexcept;
  /// For how long an adaptive queue is polled before the poller sleeps.
  [[nodiscard]] Duration spin_window() const noexcept { return Duration(window_.load(std::memory_order_relaxed)); }
  /// A moving average of the idle time before a frame, in which a longer idle time counts as kMaxSpin.
  [[nodiscard]] Duration mean_interval() const noexcept { return Duration(interval_.load(std::memory_order_relaxed)); }

 protected:
  /// For the class with the handler: the function that polls the queue once and returns the number of frames, and the
  /// most frames of a burst.
  ///@{
  using PollFunction = std::uint32_t(PolledQueue& queue, std::uint32_t limit) noexcept;

  PolledQueue(PollerCore& core, RxQueue& rx, PolledQueueOptions options, PollFunction* poll, std::uint32_t capacity);
  ///@}

  /// Counts and reports the exception that is being handled. Called in a catch clause.
  void note_exception() noexcept;

  /// The queue, and the counters of frames that the handler has left.
  ///@{
  RxQueue* rx_;
  DropCounter left_{"poller_left"};
  DropCounter exception_{"poller_exception"};
  ///@}

 private:
  friend class PollerCore;

  [[nodiscard]] static Result<void> check_weight(std::uint32_t weight);
  static std::uint32_t idle(PolledQueue&, std::uint32_t) noexcept { return 0; }
  static void count(std::atomic<std::uint64_t>& counter, std::uint64_t more) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  void end_idle(Time now, std::uint32_t found) noexcept;
  [[nodiscard]] bool spins(Time now) noexcept;

  // Written by each poll.
  BurstGate<PollFunction> gate_;
  std::atomic<std::uint32_t> weight_;
  std::uint32_t capacity_;         // of the handler's burst
  std::uint32_t quantum_ = 0;      // frames that are left of its turn; 0: the next turn is a new one
  std::uint32_t empty_polls_ = 0;  // since is_idle_
  bool is_idle_ = false;           // no frame came since idle_since_
  std::atomic<std::uint64_t> frames_{0};
  // Guarded by the gate.
  bool armed_ = false;
  std::uint32_t refusals_ = 0;  // how often in a row it was not armed
  // Of the poller's thread.
  Time idle_since_{};
  bool removed_ = false;
  // Of any thread.
  std::atomic<Duration::rep> window_{0};
  std::atomic<Duration::rep> interval_{0};
  std::atomic<PollMode> mode_;
  std::atomic<int> descriptor_{-1};
  std::atomic<bool> enabled_{false};
  std::atomic<bool> scheduled_{false};
  std::atomic<std::uint64_t> wakeups_{0};
  std::atomic<std::uint64_t> exceptions_{0};
  std::uint64_t changes_ = 0;  // how often it was enabled or disabled; guarded by PollerCore::control_
  PollFunction* poll_;
  PollerCore& core_;
  std::string name_;
};

/// The capacity of the burst that a handler takes: the N of its Burst<N>&, 64 if it takes any; 0 if it takes none.
template <class Handler, std::uint32_t N, std::uint32_t... Others>
[[nodiscard]] consteval std::uint32_t handler_capacity(std::integer_sequence<std::uint32_t, N, Others...>) {
  if constexpr (std::invocable<Handler&, Burst<N>&>) {
    return N;
  } else if constexpr (sizeof...(Others) != 0) {
    return handler_capacity<Handler>(std::integer_sequence<std::uint32_t, Others...>());
  } else {
    return 0;
  }
}
/// The capacities that a handler's burst may have, in the order in which they are tried.
using HandlerCapacities = std::integer_sequence<std::uint32_t, 64, 32, 16, 8, 4, 2, 1, 128, 256, 512>;

/// Something that can be called with `Burst<N>&`, where N is a power of two up to 512.
template <class Handler>
concept BurstHandler = handler_capacity<std::remove_cvref_t<Handler>>(HandlerCapacities())
!= 0;

/// A PolledQueue with its handler, so that a burst needs one indirect call to get here and one to the queue.
template <class Handler>
class HandledQueue final : public PolledQueue {
 public:
  static constexpr std::uint32_t kCapacity = handler_capacity<Handler>(HandlerCapacities());  ///< frames of a burst

  /// Made by Poller::add.
  HandledQueue(PollerCore& core, RxQueue& rx, PolledQueueOptions options, Handler handler)
      : PolledQueue(core, rx, std::move(options), &poll, kCapacity), handler_(std::move(handler)) {}

 private:
  static std::uint32_t poll(PolledQueue& queue, std::uint32_t limit) noexcept {
    HandledQueue& self = static_cast<HandledQueue&>(queue);
    Burst<kCapacity> burst;
    const std::uint32_t count = self.rx_->rx_burst(burst, limit);
    if (count == 0) return 0;
    try {
      self.handler_(burst);
    } catch (...) {
      self.note_exception();
      burst.drop(self.exception_);
    }
    if (!burst.empty()) [[unlikely]]
      burst.drop(self.left_);
    return count;
  }

  Handler handler_;
};

/// How a poller shares its time, and how it sleeps.
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
  [[nodiscard]] bool is_due() const noexcept { return !removed_ && scheduled_.load(std::memory_order_acquire); }

  PollerCore& core_;
  std::string name_;
  std::function<bool()> work_;
  std::atomic<bool> scheduled_{true};
  bool threw_ = false;
  bool stalled_ = false;
  bool removed_ = false;
};

/// Names a timer, to cancel it. The id of a timer that has run or was cancelled is not used again.
struct TimerId {
  /// Of the poller's table; the defaults name no timer.
  ///@{
  std::uint32_t index = UINT32_MAX;
  std::uint32_t generation = 0;
  ///@}
};

/// Names a descriptor of the program, to remove it.
struct DescriptorId {
  std::uint64_t number = 0;  ///< 0: no descriptor
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
  static constexpr std::uint32_t kMaxBudget = 65536;  ///< frames in one run_once
  /// Calls of run_once between two checks of the program's descriptors while the poller does not sleep.
  static constexpr std::uint32_t kRoundsPerCheck = 32;
  /// A task that takes more time than its share waits for the polls to catch up, at most for this long.
  static constexpr Duration kMaxTaskDebt = std::chrono::milliseconds(10);

  /// Uses the Context's clock and log callback.
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
  /// The task does not run any more, and `task` is destroyed: at once or, in a callback, at the end of run_once.
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
