// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/rx_queue.hpp"
#include "pollux/runtime/poller.hpp"

namespace pollux {

/// A receive queue that a task has awaited. It stays in the poller, disabled while the task awaits something else.
class POLLUX_API PacketSource {
 public:
  PacketSource(const PacketSource&) = delete;
  PacketSource& operator=(const PacketSource&) = delete;
  virtual ~PacketSource() = default;

 protected:
  PacketSource(const RxQueue& queue, std::uint32_t capacity) noexcept : rx_(&queue), capacity_(capacity) {}

  [[nodiscard]] bool is_polled() const noexcept { return polled_ != nullptr && polled_->is_enabled(); }
  void resume_polling() noexcept;
  void pause_polling() noexcept;
  /// The queue has left the poller.
  void forget_queue() noexcept { polled_ = nullptr; }

 private:
  friend class TaskScope;
  const RxQueue* rx_;
  std::uint32_t capacity_;
  PolledQueue* polled_ = nullptr;  // nullptr once it was removed
};

/// What a started Task and the tasks that it awaits have in common. For awaitables; programs do not use it.
/// Thread rule: that of the Poller.
class POLLUX_API TaskScope {
 public:
  TaskScope(Poller& poller, std::string name) : poller_(poller), name_(std::move(name)) {}
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;
  ~TaskScope();

  [[nodiscard]] Poller& poller() const noexcept { return poller_; }
  [[nodiscard]] bool is_done() const noexcept { return done_; }
  [[nodiscard]] const Result<void>& outcome() const noexcept { return outcome_; }
  [[nodiscard]] std::exception_ptr exception() const noexcept { return exception_; }

  /// Resumes a coroutine of the task, and those that it goes on with, one after the other, until the task waits. If one
  /// of them is running, it is resumed when that one has suspended. So the stack does not grow with the number of
  /// awaits. False: the Task was destroyed meanwhile, and so was this object.
  bool resume(std::coroutine_handle<> coroutine) noexcept {
    // Symmetric transfer would do the same, but compilers make a jump of it only with optimisation, and not with all
    // sanitizers: a loop of awaits would use up the stack.
    next_ = coroutine;
    if (running_) return true;
    running_ = true;
    do {
      std::exchange(next_, nullptr).resume();
    } while (next_);
    running_ = false;
    if (!abandoned_) [[likely]]
      return true;
    end_abandoned();
    return false;
  }
  [[nodiscard]] bool is_running() const noexcept { return running_; }
  /// The Task is destroyed by its own coroutine, which is running: `started` is destroyed when it suspends, and the
  /// scope with it.
  static void abandon(std::unique_ptr<TaskScope> scope, std::coroutine_handle<> started) noexcept;

  /// The task has returned. Its queues leave the poller.
  void finish() noexcept;
  /// An await cannot be done: the task is not resumed any more.
  void fail(Error error);
  /// The exception that is being handled has left the task. Called in a catch clause.
  void note_exception() noexcept;

  /// The source of `queue`, which is added to the poller if the task has not awaited it before. Returns nullptr after a
  /// failure of the task.
  template <class Source>
  [[nodiscard]] Source* source_of(RxQueue& queue) {
    if (PacketSource* const found = find(queue, Source::kCapacity)) {
      if (!found->is_polled() && !expect_in_poller(*found)) return nullptr;
      return static_cast<Source*>(found);
    }
    const auto source = std::make_shared<Source>(*this, queue);
    auto polled = poller_.add(queue, typename Source::Handler(source), {.name = name_, .enabled = false});
    if (!polled) {
      fail(std::move(polled).error());
      return nullptr;
    }
    adopt(source, **polled);
    return source.get();
  }
  /// Others have removed a queue that the task awaits.
  void fail_removed();

 private:
  [[nodiscard]] PacketSource* find(const RxQueue& queue, std::uint32_t capacity) const noexcept;
  /// False: others have removed the queue, so the task fails.
  [[nodiscard]] bool expect_in_poller(const PacketSource& source);
  void adopt(std::shared_ptr<PacketSource> source, PolledQueue& polled);
  void end_abandoned() noexcept;

  Poller& poller_;
  std::string name_;
  bool done_ = false;
  bool running_ = false;
  std::coroutine_handle<> next_;       // to be resumed by the `resume` that is under way
  std::coroutine_handle<> abandoned_;  // to be destroyed by it
  Result<void> outcome_;
  std::exception_ptr exception_;
  std::vector<std::shared_ptr<PacketSource>> sources_;
};

}  // namespace pollux
