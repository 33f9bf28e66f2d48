// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/task.hpp"

#include "runtime/poller_core.hpp"

namespace pollux {

void PacketSource::resume_polling() noexcept { polled_->enable(); }

// The task's thread is the poller's, where disabling does not wait.
void PacketSource::pause_polling() noexcept {
  if (polled_ != nullptr) static_cast<void>(polled_->disable());
}

TaskScope::~TaskScope() { finish(); }

void TaskScope::end_abandoned() noexcept {
  const std::unique_ptr<TaskScope> destroyed(this);  // after the coroutine
  abandoned_->destroy();
}

void TaskScope::abandon(std::unique_ptr<TaskScope> scope, TaskPromiseBase& started) noexcept {
  scope->abandoned_ = &started;
  static_cast<void>(scope.release());
}

void TaskScope::finish() noexcept {
  done_ = true;
  for (const auto& source : sources_) {
    if (PolledQueue* const polled = std::exchange(source->polled_, nullptr)) static_cast<void>(poller_.remove(*polled));
  }
}

void TaskScope::fail(Error error) {
  outcome_ = tl::unexpected<Error>(std::move(error));
  finish();
}

// Also called by the destructor of the queue's handler.
void TaskScope::fail_removed() noexcept {
  try {
    fail({ErrorCode::bad_state, name_ + ": a queue that it awaits was removed from the poller",
          "let the task end, or destroy it, before its queue is removed"});
  } catch (...) {  // no memory for the text
    exception_ = std::current_exception();
    finish();
  }
}

void TaskScope::fail_await() {
  fail({ErrorCode::bad_state, name_ + ": it awaits a Task that is empty or was started",
        "await a new Task; one that was moved from or awaited is empty"});
}

void TaskScope::note_exception() noexcept {
  exception_ = std::current_exception();
  poller_.core().note_exception(name_, true);
}

PacketSource* TaskScope::find(const RxQueue& queue, std::uint32_t capacity) const noexcept {
  for (const auto& source : sources_) {
    if (source->rx_ == &queue && source->capacity_ == capacity) return source.get();
  }
  return nullptr;
}

// A queue that was removed in this round is still there, and disabled.
bool TaskScope::expect_in_poller(const PacketSource& source) {
  if (source.polled_ != nullptr && poller_.find(*source.rx_) == source.polled_) return true;
  fail_removed();
  return false;
}

void TaskScope::adopt(std::shared_ptr<PacketSource> source, PolledQueue& polled) noexcept {
  source->polled_ = &polled;
  sources_.push_back(std::move(source));
}

}  // namespace pollux
