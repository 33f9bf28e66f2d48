// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>

#include "runtime/poller_core.hpp"

namespace pollux {
namespace {

/// Task runs in one run_once, so that it ends although a virtual clock does not advance.
constexpr std::uint32_t kMaxTaskRuns = 4096;

constexpr const char* kTimerName = "a timer";
constexpr const char* kDescriptorName = "a descriptor's callback";

}  // namespace

// Callbacks that throw, stall or do not return.

void PollerCore::note_exception(std::string_view name, bool first) noexcept {
  PolledQueue::count(exceptions_, 1);
  try {
    if (options_.on_exception) return options_.on_exception(name, std::current_exception());
    if (!first) return;
    try {
      throw;
    } catch (const std::exception& thrown) {
      context_.log(LogLevel::error, fmt::format("poller: {} threw an exception: {}", name, thrown.what()));
    } catch (...) {
      context_.log(LogLevel::error, fmt::format("poller: {} threw an exception", name));
    }
  } catch (...) {  // of the callback that was to be told
    PolledQueue::count(exceptions_, 1);
  }
}

void PollerCore::note_stall(std::string_view name, Duration took, bool first) noexcept {
  PolledQueue::count(stalls_, 1);
  try {
    if (options_.on_stall) return options_.on_stall(name, took);
    if (!first) return;
    const std::chrono::duration<double, std::milli> milliseconds = took;
    context_.log(LogLevel::warning,
                 fmt::format("poller: {} kept the queues waiting for {:.1f} ms", name, milliseconds.count()));
  } catch (...) {
    PolledQueue::count(exceptions_, 1);
  }
}

std::string PollerCore::running() const {
  const std::lock_guard lock(names_);
  const char* const name = running_.load(std::memory_order_relaxed);
  return name == nullptr ? std::string() : name;
}

// What a Poller runs besides polls: tasks, timers, and the program's descriptors.

PollerTask& PollerCore::add_task(std::string name, std::function<bool()> work) {
  tasks_.push_back(std::unique_ptr<PollerTask>(new PollerTask(*this, std::move(name), std::move(work))));
  signal();
  return *tasks_.back();
}

// It may be running, so it is destroyed when run_once returns.
void PollerCore::remove(PollerTask& task) {
  const auto found = std::ranges::find(tasks_, &task, &std::unique_ptr<PollerTask>::get);
  if (found == tasks_.end()) return;
  removed_tasks_.push_back(std::move(*found));
  tasks_.erase(found);
  has_removed_ = true;
  if (!in_round_) collect();
}

bool PollerCore::has_task_scheduled() const noexcept {
  return std::ranges::any_of(tasks_, [](const auto& task) { return task->scheduled_.load(std::memory_order_acquire); });
}

// Tasks run until they have had as much time as the polls, in turn. If there were no frames, they take nothing from
// polls, and each run_once runs one.
void PollerCore::run_tasks(Duration polled, bool found) noexcept {
  task_balance_ = found ? task_balance_ + polled : Duration::zero();
  Time start = clock_.now();
  if (task_balance_ < Duration::zero()) return;
  for (std::uint32_t runs = 0; runs < kMaxTaskRuns; ++runs) {
    PollerTask* const task = next_task();
    if (task == nullptr) break;
    run_task(*task);
    const Time now = clock_.now();
    task_balance_ = std::max(task_balance_ - (now - start), -Poller::kMaxTaskDebt);
    start = now;
    if (task_balance_ <= Duration::zero()) break;
  }
  if (!has_task_scheduled()) task_balance_ = Duration::zero();
}

PollerTask* PollerCore::next_task() noexcept {
  for (std::size_t passed = 0; passed < tasks_.size(); ++passed) {
    if (next_task_ >= tasks_.size()) next_task_ = 0;
    PollerTask& task = *tasks_[next_task_++];
    if (task.scheduled_.load(std::memory_order_acquire)) return &task;
  }
  return nullptr;
}

// It is no longer scheduled while it runs, so that a schedule() meanwhile is not lost.
void PollerCore::run_task(PollerTask& task) noexcept {
  task.scheduled_.exchange(false, std::memory_order_acq_rel);
  run_callback(task.name_.c_str(), task.threw_, task.stalled_, [&task] {
    if (task.work_()) task.scheduled_.store(true, std::memory_order_release);
  });
}

TimerId PollerCore::add_timer(Time at, std::function<void()> work) { return timers_.add(at, std::move(work)); }

bool PollerCore::run_timers() noexcept {
  return timers_.run_due(clock_.now(), [this](const std::function<void()>& work) noexcept {
    bool before = false;
    run_callback(kTimerName, before, before, work);
  });
}

Result<DescriptorId> PollerCore::add_descriptor(int descriptor, std::function<void(short)> work, short events) {
  if (descriptor < 0 || events == 0)
    return fail(ErrorCode::invalid_argument, "poller: not a descriptor with events", "see poll(2)");
  descriptors_.push_back(std::make_unique<Descriptor>(
      Descriptor{.number = ++numbers_, .wanted = {descriptor, events, 0}, .work = std::move(work)}));
  return DescriptorId{descriptors_.back()->number};
}

// Its callback may be running, so it is destroyed when run_once returns.
bool PollerCore::remove(DescriptorId descriptor) {
  const auto found = std::ranges::find(descriptors_, descriptor.number, [](const auto& one) { return one->number; });
  if (found == descriptors_.end()) return false;
  removed_descriptors_.push_back(std::move(*found));
  descriptors_.erase(found);
  has_removed_ = true;
  if (!in_round_) collect();
  return true;
}

Result<void> PollerCore::check_descriptors() {
  rounds_since_check_ = 0;
  waiting_.clear();
  waiters_.clear();
  list_descriptors();
  const auto ready = clock_.wait(waiting_, clock_.now());
  if (!ready) return tl::unexpected<Error>(ready.error());
  if (*ready != 0) run_ready_descriptors();
  return {};
}

// A callback may remove descriptors, also those after its own.
void PollerCore::run_ready_descriptors() noexcept {
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    const std::uint64_t number = waiters_[i].number;
    if (number == 0 || waiting_[i].revents == 0) continue;
    const auto found = std::ranges::find(descriptors_, number, [](const auto& one) { return one->number; });
    if (found == descriptors_.end()) continue;
    Descriptor& descriptor = **found;
    run_callback(kDescriptorName, descriptor.threw, descriptor.stalled, [&] { descriptor.work(waiting_[i].revents); });
  }
}

}  // namespace pollux
