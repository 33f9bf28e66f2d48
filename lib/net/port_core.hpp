// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <thread>
#include <utility>
#include <vector>

#include "mem/control_scheduler.hpp"
#include "net/port_machine.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/base/misuse.hpp"
#include "pollux/net/forward_path.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/port.hpp"
#include "pollux/net/port_driver.hpp"
#include "pollux/net/queue_driver.hpp"

namespace pollux {

class ContextState;
class PortCore;

/// The ports of a Context: a service of it, see Context::service.
/// Thread rule: any thread.
class PortRegistry {
 public:
  /// Returns the port's id.
  std::uint64_t add(std::weak_ptr<PortCore> core);
  void remove(std::uint64_t id);
  [[nodiscard]] std::vector<std::pair<std::uint64_t, std::shared_ptr<PortCore>>> ports() const;

 private:
  mutable std::mutex mutex_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, std::weak_ptr<PortCore>> ports_;
};

/// The ports of a Context, in the order of opening.
[[nodiscard]] std::vector<std::shared_ptr<PortCore>> port_cores(ContextState& context);

/// The events of a port that its handler has not seen yet. What is noted under the port's lock is delivered without
/// it, so that the handler may call the port. No thread waits for a handler that it did not replace: one that calls
/// another port, whose handler calls this one, would wait for itself. Handlers whose calls cause events for one another
/// hold up no call for ever: as a task of the Control, the queue delivers what a call has left.
/// Thread rule: any thread.
class PortEventQueue final : public ControlTask {
 public:
  /// So many events, of any ports, more than the queue has waiting may be delivered in a call, with those that handlers
  /// make in it; see Port::on_event.
  static constexpr std::size_t kFurther = 32;

  /// `context` outlives the queue.
  explicit PortEventQueue(ContextState& context) : context_(context) {}

  /// Makes the queue a task of the Control until it is closed. `self`: this queue.
  void join_control(std::weak_ptr<ControlTask> self);
  /// Replaces the handler, or removes it if it is empty. Events that the old one has not seen are dropped, and the new
  /// one starts with the link down. Waits while another thread runs the old handler, but not in a handler of any port.
  void set_handler(PortEventHandler handler);
  /// Removes the handler, and always waits while another thread runs it.
  void close();
  [[nodiscard]] bool has_handler();
  [[nodiscard]] bool is_empty();

  /// Adds an event if `now` differs from the link that was noted last.
  void note_link(const Link& now);
  /// `kind`: tx_timeout or rx_timeout.
  void note_timeout(PortEventKind kind, std::uint16_t queue);
  /// Adds an event once for each handler.
  void note_failure(const Error& why);
  /// Calls the handler with each event, in order, and leaves the rest to the Control when the call has delivered as
  /// many as it may. Call it without the port's lock. Does nothing while a thread, this one or another, is in this
  /// call: it goes on with the events that came meanwhile.
  void deliver();
  [[nodiscard]] Result<Time> run() override {
    deliver();
    return Time::max();
  }

 private:
  class Delivering;
  /// Adds an event in place of those that it makes obsolete, so that each waits once for each kind and queue. The
  /// caller must hold the lock.
  void add(PortEvent event);
  void replace(std::shared_ptr<const PortEventHandler> handler, bool waits);

  ContextState& context_;
  std::mutex mutex_;  // of all below
  std::optional<ControlScheduler::TaskId> task_;
  std::condition_variable returned_;
  std::thread::id deliverer_;                  // of the thread in `deliver`
  const PortEventHandler* running_ = nullptr;  // the handler that it calls
  std::shared_ptr<const PortEventHandler> handler_;
  std::deque<PortEvent> events_;
  Link link_;
  bool failed_ = false;
};

/// Stands for a queue that the port does not have (builds with POLLUX_CHECKED). Its bursts are empty.
class MissingRxQueue final : public RxQueueDriver {
 public:
  [[nodiscard]] Result<void> use_cache(const MempoolCache&) override {
    return fail(ErrorCode::invalid_argument, "there is no such receive queue", "configure the port with more queues");
  }
};

class MissingTxQueue final : public TxQueueDriver {
 public:
  [[nodiscard]] Result<void> use_cache(const MempoolCache&) override {
    return fail(ErrorCode::invalid_argument, "there is no such transmit queue", "configure the port with more queues");
  }
  [[nodiscard]] std::uint32_t in_flight() const noexcept override { return 0; }
};

/// The implementation of a Port: its state machine and driver, the mutex of its control calls, and its periodic
/// service. The Context's Control runs the service until the port is closed or has failed.
class PortCore final : public ControlTask, public std::enable_shared_from_this<PortCore> {
 public:
  /// A service is overdue if it has not run for this many intervals. The driver returns the interval.
  static constexpr int kOverdueIntervals = 2;
  /// The longest interval between two services, so that the removal of a card is detected soon.
  static constexpr Duration kMaxInterval = std::chrono::seconds(1);
  /// After this time the Control tries again to serve a port that is in a control call.
  static constexpr Duration kBusyInterval = std::chrono::milliseconds(1);

  [[nodiscard]] static std::shared_ptr<PortCore> create(std::shared_ptr<ContextState> context,
                                                        std::unique_ptr<PortDriver> driver);

  /// Reports an overdue service, and then takes the lock that excludes other control calls.
  [[nodiscard]] std::unique_lock<std::mutex> lock();
  [[nodiscard]] ContextState& context() const noexcept { return *context_; }
  /// The caller must hold the lock, except to use the driver's queues and properties that do not change.
  [[nodiscard]] PortMachine& machine() noexcept { return *machine_; }
  /// Calls a function of PortMachine that does not change the port's state, with the lock held.
  template <class Function, class... Arguments>
  [[nodiscard]] auto with_lock(Function function, Arguments&&... arguments) {
    const auto held = lock();
    return std::invoke(function, *machine_, std::forward<Arguments>(arguments)...);
  }
  /// Whether the Port was destroyed; there is no machine then. The caller must hold the lock.
  [[nodiscard]] bool is_retired() const noexcept { return !machine_; }

  /// See Port::on_event.
  void on_event(PortEventHandler handler) { events_.set_handler(std::move(handler)); }

  // Control calls that also affect the service. Each takes the lock, and delivers events after it has released it.
  [[nodiscard]] Result<void> start();
  /// Calls a function of PortMachine that may change the port's state.
  template <class Function, class... Arguments>
  [[nodiscard]] Result<void> call(Function function, Arguments&&... arguments) {
    auto held = lock();
    auto result = std::invoke(function, *machine_, std::forward<Arguments>(arguments)...);
    finish(std::move(held));
    return result;
  }
  [[nodiscard]] Result<void> resume();
  [[nodiscard]] Result<void> detach();
  [[nodiscard]] Result<void> attach(std::unique_ptr<Device> device);
  [[nodiscard]] Result<Duration> service();
  [[nodiscard]] Result<void> close();
  /// Another program has its queues. The caller holds the lock.
  void leave_to_successor() {
    leave_control();
    machine_->leave_to_successor();
  }
  /// Called by the Port's destructor: closes the port and destroys the driver. Waits while the port is in use.
  void retire();
  /// Keeps the port from being destroyed while the lock is held (OpenPort). No lock: it is being destroyed.
  [[nodiscard]] std::shared_lock<std::shared_mutex> try_use();

  /// Report the misuse and return a queue that carries no frames.
  [[nodiscard]] RxQueue& missing_rx(std::uint16_t index, Site site);
  [[nodiscard]] TxQueue& missing_tx(std::uint16_t index, Site site);

  [[nodiscard]] Result<Time> run() override;
  [[nodiscard]] std::optional<Time> assist() override;

 private:
  PortCore(std::shared_ptr<ContextState> context, std::unique_ptr<PortDriver>&& driver);

  [[nodiscard]] Result<Duration> serve();
  /// Calls one of PortMachine's functions that start the driver, and watches the driver's events from then on.
  [[nodiscard]] Result<void> start_and_watch(const std::function<Result<void>(PortMachine&)>& start);
  [[nodiscard]] Result<Time> run_service();
  /// Notes the state of the link, and a failure, for the port's handler.
  void note_events();
  void join_control();
  void leave_control();
  /// Stops the service of a failed port. The caller gets the error, so the Control must not return it again.
  void leave_if_failed();
  /// The end of such a call: what it did to the port is noted, and delivered without the lock.
  void finish(std::unique_lock<std::mutex> held);
  void report_overdue(std::unique_lock<std::mutex>& held);
  [[nodiscard]] std::optional<Misuse> find_overdue();
  void report_missing(const char* kind, const char* call, std::uint16_t index, Site site);

  std::shared_ptr<ContextState> context_;  // outlives the machine
  std::optional<PortMachine> machine_;
  MissingRxQueue missing_rx_;
  MissingTxQueue missing_tx_;
  std::shared_mutex use_;
  std::uint64_t id_ = 0;  // in the Context's PortRegistry
  std::mutex mutex_;
  PortEventQueue events_;
  std::optional<ControlScheduler::TaskId> task_;  // empty: not registered with the Control
  Duration interval_;                             // the interval that the driver returned last
  Time serviced_{0};                              // time of the last service or start
  bool reported_ = false;                         // whether the overdue service was reported
};

/// The two ports of a forward path, which may be the same port.
class ForwardPorts {
 public:
  ForwardPorts(std::shared_ptr<PortCore> in, std::shared_ptr<PortCore> out) noexcept
      : in_(std::move(in)), out_(std::move(out)) {}

  /// No control call of either port runs while the result exists.
  [[nodiscard]] ForwardPath::ControlLocks lock() const;

 private:
  std::shared_ptr<PortCore> in_;
  std::shared_ptr<PortCore> out_;
};

}  // namespace pollux
