// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/task_scope.hpp"

#include "runtime/poller_core.hpp"

namespace pollux {

void PacketSource::resume_polling() noexcept { polled_->enable(); }

// The task's thread is the poller's, where disabling does not wait.
void PacketSource::pause_polling() noexcept {
  if (polled_ != nullptr) static_cast<void>(polled_->disable());
}

TaskScope::~TaskScope() { finish(); }

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

void TaskScope::adopt(std::unique_ptr<PacketSource> source, PolledQueue& polled) {
  source->polled_ = &polled;
  sources_.push_back(std::move(source));
}

}  // namespace pollux
