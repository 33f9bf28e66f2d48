// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/poller.hpp"

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

}  // namespace pollux
