// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "pollux/base/error.hpp"
#include "pollux/runtime/poller.hpp"
#include "pollux/runtime/task_scope.hpp"

namespace pollux {

template <class T>
class Task;

/// What the promises of all tasks have in common.
class TaskPromiseBase {
 public:
  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept {
    if (continuation_) {
      exception_ = std::current_exception();
    } else {
      scope_->note_exception();
    }
  }
  /// Of the started task to which this one belongs.
  [[nodiscard]] TaskScope& scope() const noexcept { return *scope_; }

 protected:
  /// Goes on with the task that awaits this one. The started task ends.
  struct End {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> task) const noexcept {
      const TaskPromiseBase& promise = task.promise();
      if (!promise.continuation_) {
        promise.scope_->finish();
        return std::noop_coroutine();
      }
      // An awaitable of the program may have resumed this task by its handle.
      if (!promise.scope_->is_running()) return promise.continuation_;
      promise.scope_->resume(promise.continuation_);
      return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };

 public:
  [[nodiscard]] End final_suspend() const noexcept { return {}; }

 private:
  template <class>
  friend class Task;
  TaskScope* scope_ = nullptr;
  std::coroutine_handle<> continuation_;
  std::exception_ptr exception_;
};

template <class T>
class TaskPromise : public TaskPromiseBase {
 public:
  [[nodiscard]] Task<T> get_return_object() noexcept;
  void return_value(T value) { value_.emplace(std::move(value)); }

 private:
  friend class Task<T>;
  std::optional<T> value_;
};

template <>
class TaskPromise<void> : public TaskPromiseBase {
 public:
  [[nodiscard]] Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
};

/// A coroutine that waits for packets, times and descriptors in a Poller:
///
///     Task<> serve(RxQueue& rx, TxQueue& tx) {
///       for (;;) {
///         Burst<32> burst = co_await packets(rx);        // awaitables: pollux/runtime/awaitables.hpp
///         ...
///       }
///     }
///     Task<> task = serve(port.rx(0), port.tx(0));
///     if (auto started = task.start(poller); !started) ...
///
/// A coroutine does not run before it is started or awaited by another one (`T value = co_await other()`). It is
/// resumed in run_once, by the poller's thread, as a handler is: within its queue's weight and the poller's budget. To
/// await allocates nothing; the coroutine itself does, once. Destroying a Task detaches it: its coroutine is destroyed
/// where it waits, with the packets that it holds; what it waits for is cancelled, and its queues leave the poller. If
/// the coroutine itself destroys its Task, it ends where it waits next. An await that cannot be done, such
/// as of a queue that is polled by others already or that they remove, ends the task: see `outcome`. An exception that
/// leaves the started coroutine is counted and reported as that of a handler, and ends it, too. The stack does not grow
/// with the number of awaits, in any build. Thread rule: the poller's thread. Lifetime: the Poller outlives the Task.
template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = TaskPromise<T>;

  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)), scope_(std::move(other.scope_)) {}
  Task& operator=(Task&& other) noexcept {
    const Task old(std::move(*this));
    coroutine_ = std::exchange(other.coroutine_, nullptr);
    scope_ = std::move(other.scope_);
    return *this;
  }
  ~Task() {
    if (scope_ && scope_->is_running()) {
      TaskScope::abandon(std::move(scope_), coroutine_);
    } else if (coroutine_) {
      coroutine_.destroy();
    }
  }

  /// Runs the coroutine until it waits for the first time. `name` is for messages. Error bad_state: it was started, or
  /// moved from.
  [[nodiscard]] Result<void> start(Poller& poller, std::string name = "a task") requires std::is_void_v<T> {
    if (!coroutine_ || scope_)
      return pollux::fail(ErrorCode::bad_state, name + ": it has been started already", "make a new one");
    scope_ = std::make_unique<TaskScope>(poller, std::move(name));
    coroutine_.promise().scope_ = scope_.get();
    scope_->resume(coroutine_);
    return {};
  }
  /// Whether it has ended: it has returned, or failed.
  [[nodiscard]] bool is_done() const noexcept { return scope_ && scope_->is_done(); }
  /// The error of an await that ended it; success if there was none. An exception that left it is thrown again.
  [[nodiscard]] Result<void> outcome() const {
    if (!scope_) return {};
    if (scope_->exception()) std::rethrow_exception(scope_->exception());
    return scope_->outcome();
  }

  /// Awaits the coroutine's end: runs it as a part of the awaiting one.
  [[nodiscard]] auto operator co_await() && noexcept { return Awaiter{coroutine_}; }

 private:
  template <class>
  friend class TaskPromise;
  explicit Task(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}

  struct Awaiter {
    std::coroutine_handle<promise_type> task;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> awaiting) const noexcept {
      TaskScope& scope = awaiting.promise().scope();
      task.promise().scope_ = &scope;
      task.promise().continuation_ = awaiting;
      scope.resume(task);
    }
    T await_resume() const {
      promise_type& promise = task.promise();
      if (promise.exception_) std::rethrow_exception(promise.exception_);
      if constexpr (!std::is_void_v<T>) return *std::move(promise.value_);
    }
  };

  std::coroutine_handle<promise_type> coroutine_;
  std::unique_ptr<TaskScope> scope_;  // of a started task; destroyed after the coroutine
};

template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

}  // namespace pollux
