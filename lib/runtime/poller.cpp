// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/poller.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/poller_core.hpp"

namespace pollux {
namespace {

/// Task runs in one run_once, so that it ends although a virtual clock does not advance.
constexpr std::uint32_t kMaxTaskRuns = 4096;

constexpr const char* kTimerName = "a timer";
constexpr const char* kDescriptorName = "a descriptor's callback";

}  // namespace

bool PollerTask::schedule() noexcept {
  if (scheduled_.exchange(true, std::memory_order_acq_rel)) return false;
  core_.signal();
  return true;
}

Poller::Poller(Context& context, PollerOptions options)
    : core_(std::make_unique<PollerCore>(context, std::move(options))) {}
Poller::~Poller() = default;

Result<void> Poller::check(const RxQueue& queue, const PolledQueueOptions& options) const {
  return core_->check(queue, options);
}
PolledQueue* Poller::adopt(std::unique_ptr<PolledQueue> queue, bool enabled) {
  return core_->adopt(std::move(queue), enabled);
}
Result<void> Poller::remove(PolledQueue& queue) { return core_->remove(queue); }
std::vector<PolledQueue*> Poller::queues() const { return core_->queues(); }
PolledQueue* Poller::find(const RxQueue& queue) const noexcept { return core_->find(queue); }

PollerTask& Poller::add_task(std::string name, std::function<bool()> work) {
  return core_->add_task(std::move(name), std::move(work));
}
void Poller::remove(PollerTask& task) { core_->remove(task); }
TimerId Poller::add_timer(Time at, std::function<void()> work) { return core_->add_timer(at, std::move(work)); }
bool Poller::cancel(TimerId timer) noexcept { return core_->cancel(timer); }
Result<DescriptorId> Poller::add_descriptor(int descriptor, std::function<void(short)> work, short events) {
  return core_->add_descriptor(descriptor, std::move(work), events);
}
bool Poller::remove(DescriptorId descriptor) { return core_->remove(descriptor); }

Result<std::uint32_t> Poller::run_once(Time until) { return core_->run_once(until); }
Clock& Poller::clock() const noexcept { return core_->clock(); }
void Poller::wake() noexcept { core_->signal(); }
std::uint64_t Poller::exceptions() const noexcept { return core_->exceptions(); }
std::uint64_t Poller::stalls() const noexcept { return core_->stalls(); }
std::string Poller::running() const { return core_->running(); }

PolledQueue::PolledQueue(PollerCore& core, RxQueue& rx, PolledQueueOptions options, PollFunction* poll,
                         std::uint32_t capacity)
    : rx_(&rx),
      gate_(&idle),
      weight_(options.weight),
      capacity_(capacity),
      mode_(options.mode),
      poll_(poll),
      core_(core),
      name_(std::move(options.name)) {
  if (options.mode != PollMode::busy) descriptor_.store(rx.event_fd(), std::memory_order_relaxed);
}

PolledQueue::~PolledQueue() = default;

Result<void> PolledQueue::check_weight(std::uint32_t weight) {
  if (weight >= 1 && weight <= kMaxWeight) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("poller: a weight of {} is outside of 1 to {}", weight, kMaxWeight),
              "use 64, and other values only for queues that are to get more or less than the others");
}

Result<void> PolledQueue::set_weight(std::uint32_t weight) {
  if (auto checked = check_weight(weight); !checked) return checked;
  weight_.store(weight, std::memory_order_relaxed);
  return {};
}

Result<void> PolledQueue::set_mode(PollMode mode) {
  if (mode != PollMode::busy) {
    const int descriptor = rx_->event_fd();
    if (descriptor < 0 && mode == PollMode::interrupt) {
      return fail(ErrorCode::not_supported, "poller: " + name_ + " has no descriptor to sleep on",
                  "use PollMode::adaptive or busy; or raise the limit of open files (ulimit -n) if it was reached");
    }
    descriptor_.store(descriptor, std::memory_order_relaxed);
  }
  mode_.store(mode, std::memory_order_release);
  core_.signal();
  return {};
}

void PolledQueue::enable() noexcept { core_.enable(*this); }
Result<void> PolledQueue::disable(Duration limit) { return core_.disable(*this, limit); }

bool PolledQueue::schedule() noexcept {
  if (!is_enabled() || scheduled_.exchange(true, std::memory_order_acq_rel)) return false;
  core_.signal();
  return true;
}

PolledQueueStats PolledQueue::stats() const noexcept {
  return {.frames = frames_.load(std::memory_order_relaxed),
          .wakeups = wakeups_.load(std::memory_order_relaxed),
          .exceptions = exceptions_.load(std::memory_order_relaxed),
          .poller_left = left_.value(),
          .poller_exception = exception_.value()};
}

void PolledQueue::note_exception() noexcept {
  count(exceptions_, 1);
  core_.note_exception(name_, exceptions_.load(std::memory_order_relaxed) == 1);
}

void PolledQueue::end_idle(Time now, std::uint32_t found) noexcept {
  is_idle_ = false;
  const Duration idle_for = now - idle_since_;
  Duration interval = mean_interval();
  interval += (std::min(idle_for, kMaxSpin) - interval * found) / (kAveragedFrames + found);
  interval_.store(interval.count(), std::memory_order_relaxed);
  Duration window = spin_window();
  if (idle_for > kMaxSpin || interval > kMaxInterval) {
    window /= 2;
    if (window < kMinSpin) window = Duration::zero();
  } else if (idle_for > window) {
    window = std::clamp(window * 2, kMinSpin, kMaxSpin);
  }
  window_.store(window.count(), std::memory_order_relaxed);
}

bool PolledQueue::spins(Time now) noexcept {
  if (!is_idle_) {
    is_idle_ = true;
    idle_since_ = now;
    empty_polls_ = 0;
  }
  if (descriptor_.load(std::memory_order_relaxed) < 0) return true;
  switch (mode()) {
    case PollMode::busy: return true;
    case PollMode::interrupt: return false;
    case PollMode::adaptive: break;
  }
  return now - idle_since_ < spin_window() && ++empty_polls_ < kMaxEmptyPolls;
}

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
  task.removed_ = true;
  has_removed_ = true;
  if (!in_round_) collect();
}

bool PollerCore::has_task_scheduled() const noexcept {
  return std::ranges::any_of(tasks_, [](const auto& task) { return task->is_due(); });
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
    if (task.is_due()) return &task;
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
  Descriptor* const found = find(descriptor.number);
  if (found == nullptr) return false;
  found->removed_ = true;
  has_removed_ = true;
  if (!in_round_) collect();
  return true;
}

PollerCore::Descriptor* PollerCore::find(std::uint64_t number) const noexcept {
  const auto same = [number](const auto& one) { return one->number == number && !one->removed_; };
  const auto found = std::ranges::find_if(descriptors_, same);
  return found == descriptors_.end() ? nullptr : found->get();
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
    Descriptor* const found = find(number);
    if (found == nullptr) continue;
    run_callback(kDescriptorName, found->threw, found->stalled, [&] { found->work(waiting_[i].revents); });
  }
}

}  // namespace pollux
