// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
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
  /// `capacity`: the most frames of a burst.
  PacketSource(const RxQueue& queue, std::uint32_t capacity) noexcept : rx_(&queue), capacity_(capacity) {}

  /// Whether the queue is in the poller and enabled.
  [[nodiscard]] bool is_polled() const noexcept { return polled_ != nullptr && polled_->is_enabled(); }
  /// Enables or disables the queue, if it is still in the poller.
  ///@{
  void resume_polling() noexcept;
  void pause_polling() noexcept;
  ///@}
  /// The queue has left the poller.
  void forget_queue() noexcept { polled_ = nullptr; }

 private:
  friend class TaskScope;
  const RxQueue* rx_;
  std::uint32_t capacity_;
  PolledQueue* polled_ = nullptr;  // nullptr once it was removed
};

class TaskPromiseBase;

/// What a started Task and the tasks that it awaits have in common. For awaitables; programs do not use it.
/// Thread rule: that of the Poller.
class POLLUX_API TaskScope {
 public:
  /// `name` is for messages.
  TaskScope(Poller& poller, std::string name) : poller_(poller), name_(std::move(name)) {}
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;
  ~TaskScope();

  /// Of the started task: its poller, whether it has ended, with which result, and the exception that ended it, if any.
  ///@{
  [[nodiscard]] Poller& poller() const noexcept { return poller_; }
  [[nodiscard]] bool is_done() const noexcept { return done_; }
  [[nodiscard]] const Result<void>& outcome() const noexcept { return outcome_; }
  [[nodiscard]] std::exception_ptr exception() const noexcept { return exception_; }
  ///@}

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
    if (abandoned_ == nullptr) [[likely]]
      return true;
    end_abandoned();
    return false;
  }
  /// Whether a coroutine of the task runs now.
  [[nodiscard]] bool is_running() const noexcept { return running_; }
  /// The Task is destroyed by its own coroutine, which is running: `started` is destroyed when it suspends, and the
  /// scope with it.
  static void abandon(std::unique_ptr<TaskScope> scope, TaskPromiseBase& started) noexcept;

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
    reserve_source();
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
  void fail_removed() noexcept;
  /// It awaits a Task that is empty or was started.
  void fail_await();

 private:
  [[nodiscard]] PacketSource* find(const RxQueue& queue, std::uint32_t capacity) const noexcept;
  /// False: others have removed the queue, so the task fails.
  [[nodiscard]] bool expect_in_poller(const PacketSource& source);
  /// `reserve_source` first: the poller then polls for a source that this object has.
  ///@{
  void reserve_source() { sources_.reserve(sources_.size() + 1); }
  void adopt(std::shared_ptr<PacketSource> source, PolledQueue& polled) noexcept;
  ///@}
  void end_abandoned() noexcept;

  Poller& poller_;
  std::string name_;
  bool done_ = false;
  bool running_ = false;
  std::coroutine_handle<> next_;          // to be resumed by the `resume` that is under way
  TaskPromiseBase* abandoned_ = nullptr;  // to be destroyed by it
  Result<void> outcome_;
  std::exception_ptr exception_;
  std::vector<std::shared_ptr<PacketSource>> sources_;
};

template <class T>
class Task;

/// What the promises of all tasks have in common.
class TaskPromiseBase {
 public:
  /// Destroys the coroutine where it waits, after those that it awaits, the innermost first: their frames may refer to
  /// it. So the stack does not grow with their number.
  void destroy() noexcept {
    TaskPromiseBase* innermost = this;
    while (innermost->awaited_ != nullptr) innermost = innermost->awaited_;
    for (TaskPromiseBase* outer = nullptr; innermost != this; innermost = outer) {
      outer = innermost->awaiting_;
      *innermost->owner_ = nullptr;
      innermost->destroy_frame();
    }
    destroy_frame();
  }

  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept {
    if (awaiting_ != nullptr) {
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
      TaskPromiseBase& promise = task.promise();
      TaskPromiseBase* const awaiting = promise.leave();
      if (awaiting == nullptr) {
        promise.scope_->finish();
        return std::noop_coroutine();
      }
      // An awaitable of the program may have resumed this task by its handle.
      if (!promise.scope_->is_running()) return awaiting->coroutine_;
      promise.scope_->resume(awaiting->coroutine_);
      return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };

 public:
  [[nodiscard]] End final_suspend() const noexcept { return {}; }

 private:
  template <class>
  friend class Task;

  /// `owner`: where the awaiting task's frame has the pointer to this promise.
  void enter(TaskPromiseBase& awaiting, TaskPromiseBase*& owner) noexcept {
    scope_ = awaiting.scope_;
    awaiting_ = &awaiting;
    awaiting.awaited_ = this;
    owner_ = &owner;
  }
  /// Returns the task that has awaited this one until now.
  TaskPromiseBase* leave() noexcept {
    if (awaiting_ != nullptr && awaiting_->awaited_ == this) awaiting_->awaited_ = nullptr;
    return std::exchange(awaiting_, nullptr);
  }
  void destroy_frame() noexcept {
    leave();
    coroutine_.destroy();
  }

  std::coroutine_handle<> coroutine_;
  TaskScope* scope_ = nullptr;
  TaskPromiseBase* awaiting_ = nullptr;  // the task that awaits this one
  TaskPromiseBase* awaited_ = nullptr;   // the one that this task awaits
  TaskPromiseBase** owner_ = nullptr;    // while it is awaited
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
  using promise_type = TaskPromise<T>;  ///< for the compiler

  /// The other one is then empty. Assigning destroys the task that this one was.
  ///@{
  Task(Task&& other) noexcept : promise_(std::exchange(other.promise_, nullptr)), scope_(std::move(other.scope_)) {}
  Task& operator=(Task&& other) noexcept {
    Task taken(std::move(other));  // `other` may be this task
    std::swap(promise_, taken.promise_);
    std::swap(scope_, taken.scope_);
    return *this;
  }
  ///@}
  ~Task() {
    if (scope_ && scope_->is_running()) {
      TaskScope::abandon(std::move(scope_), *promise_);
    } else if (promise_ != nullptr) {
      promise_->destroy();
    }
  }

  /// Runs the coroutine until it waits for the first time. `name` is for messages. Error bad_state: it was started, or
  /// is empty.
  [[nodiscard]] Result<void> start(Poller& poller, std::string name = "a task") requires std::is_void_v<T> {
    if (promise_ == nullptr)
      return pollux::fail(ErrorCode::bad_state, name + ": it is empty", "start the Task that it was moved to");
    if (scope_) return pollux::fail(ErrorCode::bad_state, name + ": it has been started already", "make a new one");
    scope_ = std::make_unique<TaskScope>(poller, std::move(name));
    promise_->scope_ = scope_.get();
    scope_->resume(promise_->coroutine_);
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

  /// Awaits the coroutine's end: runs it as a part of the awaiting one. This Task is then empty. The awaiting task
  /// fails with bad_state if it was empty before, or started.
  [[nodiscard]] auto operator co_await() && noexcept { return Awaiter{std::move(*this)}; }

 private:
  template <class>
  friend class TaskPromise;
  explicit Task(promise_type& promise) noexcept : promise_(&promise) {
    promise.coroutine_ = std::coroutine_handle<promise_type>::from_promise(promise);
  }

  struct Awaiter {
    Task task;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> awaiting) {
      TaskScope& scope = awaiting.promise().scope();
      if (task.promise_ == nullptr || task.scope_ != nullptr) return scope.fail_await();
      task.promise_->enter(awaiting.promise(), task.promise_);
      scope.resume(task.promise_->coroutine_);
    }
    T await_resume() const {
      auto& promise = static_cast<promise_type&>(*task.promise_);
      if (promise.exception_) std::rethrow_exception(promise.exception_);
      if constexpr (!std::is_void_v<T>) return *std::move(promise.value_);
    }
  };

  TaskPromiseBase* promise_;          // nullptr: empty
  std::unique_ptr<TaskScope> scope_;  // of a started task; destroyed after the coroutine
};

template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(*this);
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept { return Task<void>(*this); }

}  // namespace pollux
