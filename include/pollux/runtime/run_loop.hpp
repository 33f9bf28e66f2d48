// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/tx_queue.hpp"
#include "pollux/runtime/poller.hpp"

namespace pollux {

/// How a run loop works.
struct RunLoopOptions {
  std::string name = {};      ///< for messages; empty: "run loop"
  PollerOptions poller = {};  ///< see there
  /// How long RunLoop::run may take to finish its work after `stop`.
  Duration drain_limit = std::chrono::seconds(1);
};

/// A part of the program that sends, such as a queueing discipline's. It runs before the queues are polled.
/// Ownership: the RunLoop's; a reference stays valid until RunLoop::remove or the end of the RunLoop.
/// Thread rule: any thread.
class POLLUX_API TransmitWork {
 public:
  TransmitWork(const TransmitWork&) = delete;
  TransmitWork& operator=(const TransmitWork&) = delete;

  /// The work runs in the next round; a loop that sleeps wakes up. False: it is scheduled already.
  bool schedule() noexcept;
  /// Whether it runs in the next round.
  [[nodiscard]] bool is_scheduled() const noexcept { return scheduled_.load(std::memory_order_acquire); }

 private:
  friend class RunLoop;
  TransmitWork(Poller& poller, std::string name, std::function<bool()> work)
      : poller_(poller), name_(std::move(name)), work_(std::move(work)) {}

  Poller& poller_;
  std::string name_;
  std::function<bool()> work_;
  std::atomic<bool> scheduled_{true};
  bool threw_ = false;
  bool stalled_ = false;
  bool removed_ = false;
};

/// What one thread does with queues, in rounds, as a core's softirq does it in Linux: what other threads have posted;
/// then transmit work, in the order in which it was added; then a round of its Poller, which receives, and runs tasks,
/// timers and descriptors. It sleeps as its Poller does. It has no thread of its own: call `run`, or `run_once` in a
/// loop of the program's, or see RunLoopThreads. Thread rule: one thread at a time runs it, and only that thread uses
/// `poller` and adds and removes. Other threads use `post`, `invoke`, `stop`, and what PolledQueue, PollerTask and
/// TransmitWork let them. Lifetime: as Poller. Transmit queues are removed before their port is closed, or the RunLoop
/// is destroyed before.
class POLLUX_API RunLoop {
 public:
  /// While a transmit queue has sent frames to free, a sleep takes no longer than this.
  static constexpr Duration kFreeInterval = std::chrono::milliseconds(1);
  /// The default limit of `invoke`.
  static constexpr Duration kInvokeLimit = std::chrono::seconds(1);
  /// After `stop`, `drain` receives at most this many frames a queue, as many as the largest ring has.
  static constexpr std::uint32_t kMaxDrained = 4096;

  /// The loop has no thread of its own: `run` uses the caller's.
  explicit RunLoop(Context& context, RunLoopOptions options = {});
  RunLoop(const RunLoop&) = delete;
  RunLoop& operator=(const RunLoop&) = delete;
  ~RunLoop();

  /// As in the options, or "run loop".
  [[nodiscard]] const std::string& name() const noexcept { return options_.name; }
  /// The loop's poller, for queues, tasks, timers and descriptors.
  [[nodiscard]] Poller& poller() noexcept { return poller_; }

  /// Adds transmit work, which is scheduled at once. `work` sends what it can and returns whether it has more to send
  /// now: then it runs in the next round, too, and the loop does not sleep. Work that waits for a time adds a timer,
  /// and returns false.
  TransmitWork& add_transmit(std::string name, std::function<bool()> work);
  /// The work does not run any more, and `work` is destroyed: at once or, in a callback, at the end of the round.
  void remove(TransmitWork& work);
  /// Frees what `queue` has sent (TxQueue::tx_done_cleanup) also while nothing is received; bursts do it otherwise, at
  /// less cost.
  void add(TxQueue& queue);
  /// Without effect if it was not added.
  void remove(const TxQueue& queue) noexcept;

  /// `work` runs once in the loop's thread, in the next round. Any thread. Work that has not run when the loop is
  /// destroyed never does.
  void post(std::function<void()> work);
  /// Runs `work` in the loop's thread, and returns when it has run; at once in that thread. Any thread. Error timeout:
  /// no round began within `limit` (real time); then `work` does not run any more. Work that has begun is waited for
  /// without a limit, and an exception that leaves it is rethrown here.
  [[nodiscard]] Result<void> invoke(std::function<void()> work, Duration limit = kInvokeLimit);

  /// One round. Returns the number of received frames. Errors: as Poller::run_once; bad_state if a callback calls it.
  [[nodiscard]] Result<std::uint32_t> run_once(Time until = Time::max());
  /// Rounds until `stop`, then `drain`. After that it may be called again; the queues are disabled then. Errors: as
  /// run_once and `drain`.
  [[nodiscard]] Result<void> run();
  /// Makes `run` return. Any thread, and signal handlers. After a stop before `run`, `run` drains at once.
  void stop() noexcept;
  /// Whether `stop` was called and `run` has not returned since.
  [[nodiscard]] bool is_stopping() const noexcept { return stopping_.load(std::memory_order_acquire); }

  /// Finishes what is in hand: polls the queues until all are empty; then disables them, and goes on until no transmit
  /// work is scheduled and the transmit queues have sent all. Tasks, timers and descriptors run meanwhile. Error
  /// timeout: `drain_limit` was not enough; it names what is left. Error bad_state: a callback calls it. The loop's
  /// thread.
  [[nodiscard]] Result<void> drain();

 private:
  friend class RunLoopThreads;
  /// Error bad_state: a callback of a round calls it.
  [[nodiscard]] Result<void> expect_no_round(const char* call) const;
  void run_posts() noexcept;
  void run_transmit() noexcept;
  void collect() noexcept;
  /// As PollerCore::destroy_callbacks, for posted and transmit work.
  bool destroy_work() noexcept;
  [[nodiscard]] bool has_transmit_scheduled() const noexcept;
  /// Whether a transmit queue has frames that are not freed.
  [[nodiscard]] bool has_unsent() const noexcept;

  // The steps of `drain`.
  [[nodiscard]] Result<void> drain_receive(Time deadline);
  [[nodiscard]] Result<void> drain_transmit(Time deadline);
  [[nodiscard]] Result<void> unfinished() const;

  Context& context_;
  RunLoopOptions options_;
  Poller poller_;
  std::vector<std::unique_ptr<TransmitWork>> transmit_;
  bool has_removed_ = false;  // transmit work to be collected
  bool in_round_ = false;
  bool is_idle_ = true;                    // the last round found no frames
  std::atomic<std::thread::id> thread_{};  // the one that is in run_once
  std::vector<TxQueue*> tx_queues_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> has_posts_{false};
  std::mutex posts_lock_;
  std::vector<std::function<void()>> posts_;
};

}  // namespace pollux
