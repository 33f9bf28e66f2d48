// SPDX-License-Identifier: BSD-3-Clause
#include "net/port_core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <typeinfo>

#include "base/undo.hpp"
#include "mem/context_state.hpp"

namespace pollux {
namespace {

/// The handlers, of any ports, that this thread is in.
thread_local unsigned handlers_on_stack = 0;

/// How many events, of any ports, this thread's outermost delivery may still hand to handlers.
thread_local std::size_t deliveries_left = 0;

#if POLLUX_CHECKED
constexpr bool kChecked = true;
#else
constexpr bool kChecked = false;
#endif

/// The service interval until the driver returns one.
constexpr Duration kDefaultInterval = std::chrono::seconds(10);

PortRegistry& registry(ContextState& context) {
  return *static_cast<PortRegistry*>(context.service_slot(
      typeid(PortRegistry), [] { return std::shared_ptr<void>(std::make_shared<PortRegistry>()); }));
}

bool is_link(PortEventKind kind) { return kind == PortEventKind::link_up || kind == PortEventKind::link_down; }

double to_seconds(Duration span) { return std::chrono::duration<double>(span).count(); }

}  // namespace

std::vector<std::shared_ptr<PortCore>> port_cores(ContextState& context) {
  std::vector<std::shared_ptr<PortCore>> cores;
  for (auto& [id, core] : registry(context).ports()) cores.push_back(std::move(core));
  return cores;
}

std::string to_string(const PortEvent& event) {
  switch (event.kind) {
    case PortEventKind::link_up: return "link " + to_string(event.link);
    case PortEventKind::link_down: return "link down";
    case PortEventKind::removed: return "removed: " + event.error.message();
    case PortEventKind::tx_timeout:
      return "transmit queue " + std::to_string(event.queue) + " sent nothing; the port was reset";
    case PortEventKind::rx_timeout:
      return "receive queue " + std::to_string(event.queue) + " takes none of the frames that arrive";
    case PortEventKind::error: break;
  }
  return "error: " + event.error.message();
}

void PortEventQueue::set_handler(PortEventHandler handler) {
  replace(handler ? std::make_shared<const PortEventHandler>(std::move(handler)) : nullptr, handlers_on_stack == 0);
}

void PortEventQueue::join_control(std::weak_ptr<ControlTask> self) {
  const std::lock_guard guard(mutex_);
  task_ = context_.scheduler().add(std::move(self), Time::max(), {});
}

void PortEventQueue::close() {
  replace(nullptr, true);
  const std::lock_guard guard(mutex_);
  if (task_) context_.scheduler().remove(*std::exchange(task_, std::nullopt));
}

void PortEventQueue::replace(std::shared_ptr<const PortEventHandler> handler, bool waits) {
  std::unique_lock lock(mutex_);
  handler_.swap(handler);
  events_.clear();
  link_ = {};
  failed_ = false;
  if (!waits || deliverer_ == std::this_thread::get_id()) return lock.unlock();
  returned_.wait(lock, [&] { return handler == nullptr || running_ != handler.get(); });
  lock.unlock();  // what the old handler holds is destroyed without it
}

bool PortEventQueue::has_handler() {
  const std::lock_guard guard(mutex_);
  return handler_ != nullptr;
}

bool PortEventQueue::is_empty() {
  const std::lock_guard guard(mutex_);
  return events_.empty();
}

void PortEventQueue::note_link(const Link& now) {
  const std::lock_guard guard(mutex_);
  failed_ = false;  // a port that works again may fail again
  if (handler_ == nullptr || now == link_) return;
  const bool changed = now.up || link_.up;
  link_ = now;
  if (changed) add({now.up ? PortEventKind::link_up : PortEventKind::link_down, now, {}, 0});
}

void PortEventQueue::note_failure(const Error& why) {
  const std::lock_guard guard(mutex_);
  if (handler_ == nullptr || std::exchange(failed_, true)) return;
  link_ = {};
  const bool removed = why.code == ErrorCode::device_removed;
  add({removed ? PortEventKind::removed : PortEventKind::error, {}, why, 0});
}

void PortEventQueue::note_timeout(PortEventKind kind, std::uint16_t queue) {
  const std::lock_guard guard(mutex_);
  if (handler_ != nullptr) add({kind, {}, {}, queue});
}

// A link that was up and goes down twice is reported down once: the second change undoes the one between them.
void PortEventQueue::add(PortEvent event) {
  const auto is_same = [&](const PortEvent& e) { return e.kind == event.kind && e.queue == event.queue; };
  const auto first = std::find_if(events_.begin(), events_.end(), is_same);
  const auto kept = std::remove_if(
      first, events_.end(), [&](const PortEvent& e) { return is_same(e) || (is_link(e.kind) && is_link(event.kind)); });
  events_.erase(kept, events_.end());
  events_.push_back(std::move(event));
}

/// A call of the handler, which an exception may end. The lock is released meanwhile.
class PortEventQueue::Delivering {
 public:
  Delivering(PortEventQueue& queue, std::unique_lock<std::mutex>& lock)
      : queue_(queue), lock_(lock), handler_(queue.handler_) {
    queue_.running_ = handler_.get();
    lock_.unlock();
    ++handlers_on_stack;
  }
  Delivering(const Delivering&) = delete;
  Delivering& operator=(const Delivering&) = delete;
  ~Delivering() {
    --handlers_on_stack;
    handler_.reset();  // before whoever waits for it goes on
    lock_.lock();
    queue_.running_ = nullptr;
    queue_.deliverer_ = {};
    queue_.returned_.notify_all();
  }
  void call(const PortEvent& event) const { (*handler_)(event); }

 private:
  PortEventQueue& queue_;
  std::unique_lock<std::mutex>& lock_;
  std::shared_ptr<const PortEventHandler> handler_;
};

void PortEventQueue::deliver() {
  std::unique_lock lock(mutex_);
  if (deliverer_ != std::thread::id()) return;
  if (handlers_on_stack == 0) deliveries_left = events_.size() + kFurther;
  // Also after an exception: a port that has failed may have no other task, nor call, that would deliver the rest.
  const Undo leave_rest([this] {
    // Later than now, since the Control runs what is due now in the same call.
    if (task_ && !events_.empty()) context_.scheduler().reschedule(*task_, context_.clock().now() + Duration(1));
  });
  while (!events_.empty() && deliveries_left != 0) {
    --deliveries_left;
    deliverer_ = std::this_thread::get_id();
    const PortEvent event = std::move(events_.front());
    events_.pop_front();
    Delivering(*this, lock).call(event);
  }
}

PortCore::PortCore(std::shared_ptr<ContextState> context, std::unique_ptr<PortDriver>&& driver)
    : context_(std::move(context)), events_(*context_), interval_(kDefaultInterval) {
  machine_.emplace(context_, std::move(driver));
}

std::shared_ptr<PortCore> PortCore::create(std::shared_ptr<ContextState> context, std::unique_ptr<PortDriver> driver) {
  // A driver that no port could take gives back what it has claimed, as that of a closed port does.
  Undo release([&, index = driver->info().index] {
    if (driver == nullptr) return;
    static_cast<void>(driver->release(false));
    context->return_port_index(index);
  });
  std::unique_ptr<PortCore> made(new PortCore(context, std::move(driver)));
  std::shared_ptr<PortCore> core(std::move(made));
  // An event of the device may start the task at once, on the Control's thread.
  const std::lock_guard lock(core->mutex_);
  core->join_control();
  core->events_.join_control(std::shared_ptr<ControlTask>(core, &core->events_));
  core->id_ = registry(*core->context_).add(core);
  return core;
}

void PortCore::join_control() {
  task_ = context_->scheduler().add(weak_from_this(), context_->clock().now() + kMaxInterval, machine_->events());
}

void PortCore::leave_control() {
  if (task_) context_->scheduler().remove(*std::exchange(task_, std::nullopt));
}

void PortCore::leave_if_failed() {
  if (machine_->state() == PortState::failed) leave_control();
}

std::unique_lock<std::mutex> PortCore::lock() {
  std::unique_lock lock(mutex_);
  report_overdue(lock);
  return lock;
}

void PortCore::report_overdue(std::unique_lock<std::mutex>& held) {
  if constexpr (kChecked) {
    if (const auto overdue = find_overdue()) {
      // The lock is released, since the program's handler may call the port.
      held.unlock();
      context_->report(*overdue);
      held.lock();
    }
  }
}

// Only while started: otherwise no counter can overflow.
std::optional<Misuse> PortCore::find_overdue() {
  if (reported_ || !task_ || machine_->state() != PortState::started) return std::nullopt;
  const Duration since = context_->clock().now() - serviced_;
  if (since <= kOverdueIntervals * interval_) return std::nullopt;
  reported_ = true;
  return Misuse{
      MisuseKind::overdue,
      fmt::format("{}: service did not run for {:.1f} s and is due every {:.1f} s; without it, counters of the card "
                  "reach their limit and its removal is not noticed; call context.control().run_due() in the program's "
                  "loop at the time that it returned, or set ContextOptions::control_thread",
                  machine_->info().name, to_seconds(since), to_seconds(interval_))};
}

void PortCore::note_events() {
  if (!events_.has_handler()) return;
  if (machine_->state() == PortState::failed) return events_.note_failure(machine_->failure());
  events_.note_link(machine_->state() == PortState::started ? machine_->link() : Link{});
}

// The start may replace the driver's eventfds, and the number of an old one may then belong to a new descriptor.
Result<void> PortCore::start_and_watch(const std::function<Result<void>(PortMachine&)>& start) {
  auto held = lock();
  if (task_) context_->scheduler().set_events(*task_, {});
  auto started = start(*machine_);
  if (task_) context_->scheduler().set_events(*task_, machine_->events());
  serviced_ = context_->clock().now();
  reported_ = false;
  finish(std::move(held));
  return started;
}

Result<void> PortCore::start() {
  return start_and_watch([](PortMachine& machine) { return machine.start(); });
}

Result<void> PortCore::resume() {
  return start_and_watch([](PortMachine& machine) { return machine.resume(); });
}

// The device's events are closed with it.
Result<void> PortCore::detach() {
  auto held = lock();
  leave_control();
  auto detached = machine_->detach();
  if (machine_->is_alive()) join_control();
  note_events();
  held.unlock();
  events_.deliver();
  return detached;
}

Result<void> PortCore::attach(std::unique_ptr<Device> device) {
  return start_and_watch([&](PortMachine& machine) {
    auto attached = machine.attach(std::move(device));
    if (machine.is_alive() && !task_) join_control();
    return attached;
  });
}

void PortCore::finish(std::unique_lock<std::mutex> held) {
  leave_if_failed();
  note_events();
  held.unlock();
  events_.deliver();
}

Result<Duration> PortCore::serve() {
  auto within = machine_->service();
  serviced_ = context_->clock().now();
  reported_ = false;
  if (within) interval_ = *within;
  if (const auto hung = machine_->take_hung_queue()) {
    // The reset may have replaced the driver's eventfds.
    if (task_) context_->scheduler().set_events(*task_, {});
    if (task_) context_->scheduler().set_events(*task_, machine_->events());
    events_.note_timeout(PortEventKind::tx_timeout, *hung);
  }
  if (const auto hung = machine_->take_hung_rx_queue()) events_.note_timeout(PortEventKind::rx_timeout, *hung);
  note_events();
  return within;
}

Result<Duration> PortCore::service() {
  auto held = lock();
  auto within = serve();
  if (!within) {
    // The caller gets the error, so the Control does not return it again.
    leave_control();
  } else if (task_) {
    context_->scheduler().reschedule(*task_, serviced_ + std::min(kMaxInterval, *within / 2));
  }
  held.unlock();
  events_.deliver();
  return within;
}

// A port in a long control call does not hold up the service of others.
Result<Time> PortCore::run_service() {
  std::unique_lock held(mutex_, std::try_to_lock);
  if (!held) return context_->clock().now() + kBusyInterval;
  report_overdue(held);
  if (!task_) return Time::max();  // removed while it waited for the lock
  const auto within = serve();
  if (within) return serviced_ + std::min(kMaxInterval, *within / 2);
  leave_control();
  return tl::unexpected<Error>(within.error());
}

Result<Time> PortCore::run() {
  auto next = run_service();
  events_.deliver();
  return next;
}

// The next run delivers the events, and returns the error of a port that has failed. Of the port whose call waits, too,
// the lock is taken (POSIX, pthread_mutex_trylock: also by the thread that has it).
std::optional<Time> PortCore::assist() {
  const std::unique_lock held(mutex_, std::try_to_lock);
  if (!held) return std::nullopt;
  if (!task_) return Time::max();
  const auto within = serve();
  if (!within || !events_.is_empty()) return context_->clock().now();
  return serviced_ + std::min(kMaxInterval, *within / 2);
}

Result<void> PortCore::close() {
  const auto held = lock();
  leave_control();  // the device's events are closed with it
  auto closed = machine_->close();
  // If a poller did not finish its burst, the port stays started and needs its service.
  if (machine_->is_alive()) join_control();
  return closed;
}

std::shared_lock<std::shared_mutex> PortCore::try_use() {
  std::shared_lock in_use(use_, std::try_to_lock);
  if (in_use && !machine_) in_use.unlock();
  return in_use;
}

void PortCore::retire() {
  registry(*context_).remove(id_);
  const std::unique_lock unused(use_);
  events_.close();
  const auto held = lock();
  leave_control();
  machine_.reset();
}

RxQueue& PortCore::missing_rx(std::uint16_t index, Site site) {
  report_missing("receive", "rx_queue", index, site);
  return missing_rx_;
}

TxQueue& PortCore::missing_tx(std::uint16_t index, Site site) {
  report_missing("transmit", "tx_queue", index, site);
  return missing_tx_;
}

void PortCore::report_missing(const char* kind, const char* call, std::uint16_t index, Site site) {
  context_->report(
      {MisuseKind::no_such_queue,
       fmt::format("{}: there is no {} queue {}, requested at {}:{}; configure more queues, or check with {}() first",
                   machine_->info().name, kind, index, site.file, site.line, call)});
}

}  // namespace pollux
