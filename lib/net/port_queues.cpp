// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <mutex>
#include <utility>

#include "net/config_check.hpp"
#include "net/port_core.hpp"
#include "net/port_machine.hpp"
#include "pollux/net/forward_path.hpp"

namespace pollux {

Result<QueueRestart*> PortMachine::restarter(QueueId queue) const {
  auto there = queue.receives() ? check_index("receive", queue.index, queue_settings().rx_queues(), info())
                                : check_index("transmit", queue.index, queue_settings().tx_queues(), info());
  if (!there) return pass_on(std::move(there));
  QueueRestart* const driver = driver_->queue_restart();
  if (driver != nullptr) return driver;
  return fail(ErrorCode::not_supported,
              fmt::format("{}: the {} driver cannot restart one queue", info().name, info().driver),
              "stop the port, configure it with an override for that queue, and start it");
}

void PortMachine::forget_stopped_queues() noexcept {
  stopped_rx_.clear();
  stopped_tx_.clear();
}

Result<void> PortMachine::restart_rx(std::uint16_t queue, const RxQueueConfig& config) {
  if (auto fits = expect({PortState::configured, PortState::started}, "restart_rx"); !fits) return fits;
  auto next = with_rx_queue(settings(), queue, config, info(), *context_);
  return next ? restart({QueueDirection::receive, queue}, *std::move(next)) : pass_on(std::move(next));
}

Result<void> PortMachine::restart_tx(std::uint16_t queue, const TxQueueConfig& config) {
  if (auto fits = expect({PortState::configured, PortState::started}, "restart_tx"); !fits) return fits;
  auto next = with_tx_queue(settings(), queue, config, info(), *context_);
  return next ? restart({QueueDirection::transmit, queue}, *std::move(next)) : pass_on(std::move(next));
}

Result<void> PortMachine::resize(QueueId queue, std::uint32_t descriptors) {
  if (auto fits = expect({PortState::configured, PortState::started}, "resize a queue"); !fits) return fits;
  auto next = with_ring(settings(), queue, descriptors, info());
  return next ? restart(queue, *std::move(next)) : pass_on(std::move(next));
}

// If the queue does not stop, or does not start again, the port has failed, because it is not known what the card does
// to memory.
Result<void> PortMachine::restart(QueueId queue, ValidatedConfig next) {
  auto found = restarter(queue);
  if (!found) return pass_on(std::move(found));
  QueueRestart* const driver = *found;
  const bool running = state_ == PortState::started;
  if (auto ready = driver->prepare(queue, next, running); !ready) return ready;
  if (running) {
    if (auto closed = driver->close_queue(queue, kPollerLimit); !closed) {
      driver->open_queue(queue);
      driver->discard();
      return closed;
    }
    if (auto halted = driver->halt_queue(queue); !halted) {
      driver->discard();
      return enter_failed(halted.error());
    }
  }
  driver_->settings_.queues = std::move(next);
  driver->exchange(queue);
  stopped(queue).erase(queue.index);
  if (!running) return {};
  if (auto started = driver->start_queue(queue); !started) return enter_failed(started.error());
  driver->open_queue(queue);
  return {};
}

// The buffers stay in the ring until the queue is restarted or the port stops. What `prepare` checks holds here, too.
Result<void> PortMachine::stop_queue(QueueId queue) {
  if (auto fits = expect({PortState::started}, "stop a queue"); !fits) return fits;
  auto found = restarter(queue);
  if (!found) return pass_on(std::move(found));
  if (stopped(queue).contains(queue.index)) return {};
  QueueRestart* const driver = *found;
  if (auto can = driver->prepare(queue, queue_settings(), false); !can) return can;
  driver->discard();
  if (auto closed = driver->close_queue(queue, kPollerLimit); !closed) {
    driver->open_queue(queue);
    return closed;
  }
  if (auto halted = driver->halt_queue(queue); !halted) return enter_failed(halted.error());
  stopped(queue).insert(queue.index);
  return {};
}

Result<void> PortMachine::start_queue(QueueId queue) {
  if (auto fits = expect({PortState::started}, "start a queue"); !fits) return fits;
  if (auto found = restarter(queue); !found) return pass_on(std::move(found));
  return stopped(queue).contains(queue.index) ? restart(queue, queue_settings()) : Result<void>();
}

ForwardPath::ForwardPath() noexcept : gate_(&idle) {}

ForwardPath::~ForwardPath() = default;

ForwardPath::ControlLocks ForwardPath::lock_ports() const {
  return ports_ == nullptr ? ControlLocks{} : ports_->lock();
}

// std::lock avoids a deadlock: two threads may lock the same two ports in opposite order. Each port is locked once on
// its own first, so that an overdue service is reported without holding the other lock.
ForwardPath::ControlLocks ForwardPorts::lock() const {
  if (in_ == out_) return {in_->lock(), {}};
  ForwardPath::ControlLocks locks{in_->lock(), {}};
  locks[0].unlock();
  locks[1] = out_->lock();
  locks[1].unlock();
  std::lock(locks[0], locks[1]);
  return locks;
}

}  // namespace pollux
