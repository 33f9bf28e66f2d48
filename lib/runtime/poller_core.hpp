// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/compiler.hpp"
#include "base/file_descriptor.hpp"
#include "base/own_process.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/runtime/poller.hpp"
#include "runtime/timer_wheel.hpp"

namespace pollux {

/// What a Poller consists of. Thread rule: members belong to the thread that calls run_once, unless they say otherwise.
class alignas(kApart) PollerCore {
 public:
  PollerCore(Context& context, PollerOptions options);
  PollerCore(const PollerCore&) = delete;
  PollerCore& operator=(const PollerCore&) = delete;
  ~PollerCore();

  [[nodiscard]] Result<std::uint32_t> run_once(Time until);

  [[nodiscard]] Result<void> check(const RxQueue& queue, const PolledQueueOptions& options) const;
  [[nodiscard]] PolledQueue* adopt(std::unique_ptr<PolledQueue> queue, bool enabled);
  [[nodiscard]] Result<void> remove(PolledQueue& queue);
  [[nodiscard]] std::vector<PolledQueue*> queues() const;
  [[nodiscard]] PolledQueue* find(const RxQueue& queue) const noexcept;
  [[nodiscard]] Clock& clock() const noexcept { return clock_; }

  PollerTask& add_task(std::string name, std::function<bool()> work);
  void remove(PollerTask& task);
  TimerId add_timer(Time at, std::function<void()> work);
  bool cancel(TimerId timer) noexcept { return timers_.cancel(timer); }
  [[nodiscard]] Result<DescriptorId> add_descriptor(int descriptor, std::function<void(short)> work, short events);
  bool remove(DescriptorId descriptor);

  /// Destroys all callbacks without calling them, while the poller is whole: their destructors may use it. False: there
  /// were none. They may have added others. Not in run_once.
  bool destroy_callbacks() noexcept;

  /// Something was scheduled: a run_once that sleeps returns, or one that is about to sleep does not. Any thread.
  void signal() noexcept;
  /// Counts and reports the exception that is being handled. `first`: of the callback `name`.
  void note_exception(std::string_view name, bool first) noexcept;
  [[nodiscard]] std::uint64_t exceptions() const noexcept { return exceptions_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t stalls() const noexcept { return stalls_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::string running() const;

  /// Calls `work`, which is `name`, and takes care of an exception and of a stall. The flags say whether the callback
  /// had one before.
  template <class Work>
  void run_callback(const char* name, bool& threw, bool& stalled, Work work) noexcept {
    const Time start = clock_.now();
    running_.store(name, std::memory_order_relaxed);
    try {
      work();
    } catch (...) {
      note_exception(name, !std::exchange(threw, true));
    }
    running_.store(nullptr, std::memory_order_relaxed);
    const Duration took = clock_.now() - start;
    if (took > options_.stall_limit) [[unlikely]]
      note_stall(name, took, !std::exchange(stalled, true));
  }
  /// After it, no other thread reads the name of a callback that has ended.
  void wait_for_name_readers() noexcept { const std::lock_guard lock(names_); }

  // For PolledQueue; any thread.
  [[nodiscard]] Result<void> disable(PolledQueue& queue, Duration limit);
  void enable(PolledQueue& queue) noexcept;
  [[nodiscard]] bool is_own_thread() const noexcept {
    return runner_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

 private:
  struct Descriptor {
    std::uint64_t number;
    pollfd wanted;
    std::function<void(short)> work;
    bool threw = false;
    bool stalled = false;
    bool removed_ = false;
  };
  class Round;

  // poller_core.cpp: polling.
  [[nodiscard]] std::uint32_t poll_round() noexcept;
  [[nodiscard]] std::uint32_t take_turn(PolledQueue& queue, std::uint32_t budget) noexcept;
  void take_signals() noexcept;
  void collect() noexcept;
  /// Destroys the removed entries of `list`. `next`: the index of the one whose turn is next.
  template <class Entry>
  static void collect(std::vector<std::unique_ptr<Entry>>& list, std::size_t& next) noexcept;
  [[nodiscard]] Result<void> wait_for_burst(const PolledQueue& queue, Duration limit);

  // poller_sleep.cpp: sleeping.
  [[nodiscard]] Result<bool> rest(Time until);
  [[nodiscard]] Result<void> sleep(Time until);
  [[nodiscard]] bool may_sleep(Time now) noexcept;
  [[nodiscard]] bool arm_all(Time now, Time& until);
  [[nodiscard]] Result<void> list_wake_event();
  void list_descriptors();
  [[nodiscard]] Result<void> wait(Time until, std::uint64_t disabled_before);
  void disarm_ready() noexcept;

  // poller_extras.cpp: tasks, timers and descriptors, and what all callbacks have in common.
  void note_stall(std::string_view name, Duration took, bool first) noexcept;
  [[nodiscard]] bool has_task_scheduled() const noexcept;
  void run_tasks(Duration polled, bool found) noexcept;
  [[nodiscard]] PollerTask* next_task() noexcept;
  void run_task(PollerTask& task) noexcept;
  /// Whether any was due.
  bool run_timers() noexcept;
  /// nullptr: there is none, or it was removed.
  [[nodiscard]] Descriptor* find(std::uint64_t number) const noexcept;
  [[nodiscard]] Result<void> check_descriptors();
  void run_ready_descriptors() noexcept;

  const OwnProcess process_;
  Context& context_;
  Clock& clock_;
  PollerOptions options_;

  std::vector<std::unique_ptr<PolledQueue>> queues_;
  std::size_t next_ = 0;  // the queue whose turn is next
  bool in_round_ = false;
  bool has_removed_ = false;               // entries to be collected
  std::atomic<std::thread::id> runner_{};  // the thread that called run_once last

  std::vector<std::unique_ptr<PollerTask>> tasks_;
  std::size_t next_task_ = 0;
  Duration task_balance_{};  // time that polls have had more than tasks
  TimerWheel timers_;
  std::vector<std::unique_ptr<Descriptor>> descriptors_;
  std::uint64_t numbers_ = 0;  // of descriptors
  std::uint64_t queues_added_ = 0;
  std::uint32_t rounds_since_check_ = 0;
  bool slept_ = false;  // the last call of `sleep` has waited
  bool woken_ = false;  // and a queue ended that
  bool rests_ = false;  // the frames of a wake-up were polled: the next run_once begins with a sleep

  // What `wait` waits for, and whose it is at the same index: a queue, or the number of a descriptor of the program.
  struct Waiter {
    PolledQueue* queue = nullptr;
    std::uint64_t number = 0;
  };
  std::vector<pollfd> waiting_;
  std::vector<Waiter> waiters_;

  FileDescriptor wake_event_;
  std::atomic<bool> signalled_{false};
  std::atomic<bool> sleeping_{false};
  std::atomic<std::uint64_t> disabled_count_{0};  // grows whenever a queue is disabled
  std::atomic<std::uint64_t> exceptions_{0};
  std::atomic<std::uint64_t> stalls_{0};
  std::atomic<const char*> running_{nullptr};  // the name of what runs
  mutable std::mutex names_;                   // locked while another thread reads a name
  std::mutex control_;                         // enables and disables one at a time
  std::atomic<unsigned> disabling_{0};         // calls of `disable` that wait for a burst

  friend class PolledQueue;
};

}  // namespace pollux
