// SPDX-License-Identifier: BSD-3-Clause
#pragma once

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

  /// The task has returned. Its queues leave the poller.
  void finish() noexcept;
  /// An await cannot be done: the task is not resumed any more.
  void fail(Error error);
  /// The exception that is being handled has left the task. Called in a catch clause.
  void note_exception() noexcept;

  /// The source of `queue` with bursts of this capacity; nullptr if the task has not awaited it.
  [[nodiscard]] PacketSource* find(const RxQueue& queue, std::uint32_t capacity) const noexcept;
  /// Adds a source, whose handler passes frames to the task. Returns nullptr after a failure of the task.
  template <class Source, class Handler>
  [[nodiscard]] Source* add(RxQueue& queue, std::unique_ptr<Source> source, Handler handler) {
    auto polled = poller_.add(queue, handler, {.name = name_, .enabled = false});
    if (!polled) {
      fail(std::move(polled).error());
      return nullptr;
    }
    Source* const added = source.get();
    adopt(std::move(source), **polled);
    return added;
  }

 private:
  void adopt(std::unique_ptr<PacketSource> source, PolledQueue& polled);

  Poller& poller_;
  std::string name_;
  bool done_ = false;
  Result<void> outcome_;
  std::exception_ptr exception_;
  std::vector<std::unique_ptr<PacketSource>> sources_;
};

}  // namespace pollux
