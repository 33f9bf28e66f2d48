// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/poller.hpp"

#include <fmt/format.h>

#include "runtime/poller_core.hpp"

namespace pollux {

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

}  // namespace pollux
