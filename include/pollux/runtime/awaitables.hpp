// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <poll.h>

#include <coroutine>
#include <cstdint>
#include <memory>
#include <utility>

#include "pollux/base/clock.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/net/rx_queue.hpp"
#include "pollux/runtime/task.hpp"

// What a Task can await. Each function's result is awaited at once: `co_await packets(rx)`.

namespace pollux {

/// A timer of a task. It is cancelled with the object.
class POLLUX_API TaskTimer {
 public:
  TaskTimer() = default;
  TaskTimer(const TaskTimer&) = delete;
  TaskTimer& operator=(const TaskTimer&) = delete;
  ~TaskTimer() { cancel(); }

  /// `work` runs once in the poller's thread when `at` has come, unless it is cancelled before. A TaskTimer has one
  /// timer at a time.
  ///@{
  template <class Work>
  void set(Poller& poller, Time at, Work work) {
    poller_ = &poller;
    timer_ = poller.add_timer(at, work);
  }
  void cancel() noexcept {
    if (poller_ != nullptr) poller_->cancel(timer_);
    poller_ = nullptr;
  }
  ///@}

 private:
  Poller* poller_ = nullptr;
  TimerId timer_;
};

/// Resumes the task at a time.
class TimeAwaiter {
 public:
  /// `at`: a time of the poller's clock; one that has passed means the next round.
  explicit TimeAwaiter(Time at) noexcept : at_(at) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> task) {
    TaskScope& scope = task.promise().scope();
    timer_.set(scope.poller(), at_, [&scope, task] { scope.resume(task); });
  }
  void await_resume() const noexcept {}

 private:
  Time at_;
  TaskTimer timer_;
};

/// Waits until the Context's clock has come to `at`.
[[nodiscard]] inline TimeAwaiter sleep_until(Time at) noexcept { return TimeAwaiter(at); }
/// Lets the poller do a round: queues, tasks and timers of others.
[[nodiscard]] inline TimeAwaiter next_round() noexcept { return TimeAwaiter(Time::min()); }

/// Waits for `span`.
class SleepAwaiter {
 public:
  /// Zero or less means the next round.
  explicit SleepAwaiter(Duration span) noexcept : span_(span) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> task) {
    TaskScope& scope = task.promise().scope();
    const Time at = time_after(scope.poller().clock().now(), span_);
    timer_.set(scope.poller(), at, [&scope, task] { scope.resume(task); });
  }
  void await_resume() const noexcept {}

 private:
  Duration span_;
  TaskTimer timer_;
};
/// What `co_await` waits for; the time begins when the task awaits it.
[[nodiscard]] inline SleepAwaiter sleep_for(Duration span) noexcept { return SleepAwaiter(span); }

/// Resumes the task when a descriptor is ready.
class DescriptorAwaiter {
 public:
  /// `events` as for poll(2). The caller owns the descriptor, which stays open meanwhile.
  DescriptorAwaiter(int descriptor, short events) noexcept : descriptor_(descriptor), events_(events) {}
  DescriptorAwaiter(const DescriptorAwaiter&) = delete;
  DescriptorAwaiter& operator=(const DescriptorAwaiter&) = delete;
  ~DescriptorAwaiter() { stop(); }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> task) {
    TaskScope& scope = task.promise().scope();
    task_ = task;
    auto added = scope.poller().add_descriptor(
        descriptor_,
        [this, &scope](short ready) {
          ready_ = ready;
          stop();
          scope.resume(task_);
        },
        events_);
    if (!added) return scope.fail(std::move(added).error());
    poller_ = &scope.poller();
    id_ = *added;
  }
  [[nodiscard]] short await_resume() const noexcept { return ready_; }

 private:
  void stop() noexcept {
    if (Poller* const poller = std::exchange(poller_, nullptr)) static_cast<void>(poller->remove(id_));
  }

  int descriptor_;
  short events_;
  short ready_ = 0;
  std::coroutine_handle<> task_;
  Poller* poller_ = nullptr;
  DescriptorId id_;
};

/// Waits until `descriptor` has some of `events` (poll(2)), and returns those it has. The program keeps the descriptor.
/// The task fails with invalid_argument if it is negative or there are no events.
[[nodiscard]] inline DescriptorAwaiter ready(int descriptor, short events = POLLIN) noexcept {
  return {descriptor, events};
}

template <std::uint32_t N>
class PacketsAwaiter;

/// Passes the bursts of a queue to the task that awaits them.
template <std::uint32_t N>
class BurstSource final : public PacketSource {
 public:
  static constexpr std::uint32_t kCapacity = N;  ///< frames of one burst

  /// The poller's handler of the queue. It is destroyed when the queue has left the poller.
  class Handler {
   public:
    /// What the poller needs: it can be moved, and is called with each burst.
    ///@{
    explicit Handler(std::shared_ptr<BurstSource> source) noexcept : source_(std::move(source)) {}
    Handler(Handler&&) noexcept = default;
    Handler& operator=(Handler&&) = delete;
    ~Handler() {
      if (source_ != nullptr) source_->end();
    }
    void operator()(Burst<N>& burst) const { source_->deliver(&burst); }
    ///@}

   private:
    std::shared_ptr<BurstSource> source_;
  };

  /// `queue` is in the poller of `scope`, or is added when the task first awaits it.
  BurstSource(TaskScope& scope, const RxQueue& queue) noexcept : PacketSource(queue, N), scope_(scope) {}

  // Others may have disabled the queue, as RunLoop::drain does.
  /// The next burst goes to `awaiter`, which calls `forget` if it ends before.
  void wait(PacketsAwaiter<N>& awaiter) noexcept {
    if (!is_polled()) resume_polling();
    waiting_ = &awaiter;
  }
  /// Nobody waits for a burst any more.
  void forget() noexcept { waiting_ = nullptr; }
  /// Resumes the task with `burst`, or without one after a time limit. If others have enabled the queue while the task
  /// awaits something else, the frames stay in `burst`, and the poller drops them by name.
  void deliver(Burst<N>* burst) {
    if (waiting_ != nullptr && !std::exchange(waiting_, nullptr)->resume(scope_, burst)) return;
    if (waiting_ == nullptr) pause_polling();
  }

 private:
  // The scope may be gone if the task awaits nothing.
  void end() {
    forget_queue();
    if (waiting_ != nullptr) scope_.fail_removed();
  }

  TaskScope& scope_;
  PacketsAwaiter<N>* waiting_ = nullptr;
};

/// Resumes the task with the next burst of a queue.
template <std::uint32_t N>
class PacketsAwaiter {
 public:
  /// `until`: a time of the poller's clock; Time::max(): no limit.
  PacketsAwaiter(RxQueue& queue, Time until) noexcept : queue_(queue), until_(until) {}
  PacketsAwaiter(const PacketsAwaiter&) = delete;
  PacketsAwaiter& operator=(const PacketsAwaiter&) = delete;
  ~PacketsAwaiter() {
    if (source_ != nullptr) source_->forget();
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> task) {
    TaskScope& scope = task.promise().scope();
    source_ = scope.source_of<BurstSource<N>>(queue_);
    if (source_ == nullptr) return;
    task_ = task;
    source_->wait(*this);
    if (until_ != Time::max()) timer_.set(scope.poller(), until_, [this] { source_->deliver(nullptr); });
  }
  [[nodiscard]] Burst<N> await_resume() noexcept {
    return burst_ == nullptr ? Burst<N>() : Burst<N>(std::move(*burst_));
  }

 private:
  friend class BurstSource<N>;

  [[nodiscard]] bool resume(TaskScope& scope, Burst<N>* burst) {
    source_ = nullptr;
    timer_.cancel();
    burst_ = burst;
    return scope.resume(task_);
  }

  RxQueue& queue_;
  Time until_;
  BurstSource<N>* source_ = nullptr;  // while it waits
  std::coroutine_handle<> task_;
  Burst<N>* burst_ = nullptr;
  TaskTimer timer_;
};

/// Waits for packets of `queue` and returns up to N of them; none after `until` has come. While a task awaits a queue,
/// the poller polls it, with weight 64 and adaptively; PolledQueue::set_weight and set_mode change that (Poller::find).
/// While it awaits something else, packets wait in the ring. The task fails with `busy` if the poller polls the queue
/// for others, and with `bad_state` if others remove the queue from the poller. N is a power of two from 1 to 512, and
/// the same each time that a task awaits one queue.
template <std::uint32_t N = 32>
[[nodiscard]] PacketsAwaiter<N> packets(RxQueue& queue, Time until = Time::max()) noexcept {
  return {queue, until};
}

}  // namespace pollux
