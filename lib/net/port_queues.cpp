// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <mutex>
#include <utility>

#include "net/config_check.hpp"
#include "net/port_core.hpp"
#include "net/port_machine.hpp"
#include "net/settings_check.hpp"
#include "pollux/net/forward_path.hpp"

namespace pollux {

Result<QueueRestart*> PortMachine::restarter(QueueId queue) const {
  auto there = queue.receives() ? check_index("receive", queue.index, queues().rx_queues(), info())
                                : check_index("transmit", queue.index, queues().tx_queues(), info());
  if (!there) return pass_on(std::move(there));
  QueueRestart* const driver = driver_->queue_restart();
  if (driver != nullptr) return driver;
  return fail(ErrorCode::not_supported,
              fmt::format("{}: the {} driver cannot restart one queue", info().name, info().driver),
              "stop the port, change the queue, and start it");
}

void PortMachine::forget_stopped_queues() noexcept {
  stopped_rx_.clear();
  stopped_tx_.clear();
}

Result<void> PortMachine::change_queues(PlacedSettings to) {
  auto placed = place_queues(to, info(), *context_, &queues());
  if (!placed) return pass_on(std::move(placed));
  to.queues = *std::move(placed);
  if (auto fits = check_mtu(to, info()); !fits) return fits;
  if (auto valid = check(to); !valid) return valid;
  const PlacedSettings before = settings();
  Applied applied{.done = restart_changed(to)};
  if (applied.done && to != settings()) applied = try_apply(std::move(to));
  if (applied.done || state_ != PortState::started) return applied.done;
  // Even if the port is about to fail: its rings then are those of its settings.
  auto back = restart_changed(before);
  if (state_ != PortState::started || (back && applied.kept)) return applied.done;
  return enter_failed(back ? applied.done.error() : back.error());
}

Result<void> PortMachine::restart_changed(const PlacedSettings& to) {
  const auto restart_each = [&](QueueDirection direction, auto asked, auto placed) -> Result<void> {
    for (std::size_t i = 0; i < (to.*asked).size(); ++i) {
      if ((to.*asked)[i] == (settings().*asked)[i]) continue;
      PlacedSettings next = settings();
      (next.*asked)[i] = (to.*asked)[i];
      (next.queues.*placed)[i] = (to.queues.*placed)[i];
      auto restarted = restart({direction, static_cast<std::uint16_t>(i)}, std::move(next));
      if (!restarted) return restarted;
    }
    return {};
  };
  auto done = restart_each(QueueDirection::receive, &Settings::rx, &PlacedQueues::rx);
  return done ? restart_each(QueueDirection::transmit, &Settings::tx, &PlacedQueues::tx) : done;
}

// If the queue does not stop, or does not start again, the port has failed, because it is not known what the card does
// to memory.
Result<void> PortMachine::restart(QueueId queue, PlacedSettings next) {
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
  driver_->settings_ = std::move(next);
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
  if (auto can = driver->prepare(queue, settings(), false); !can) return can;
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
  return stopped(queue).contains(queue.index) ? restart(queue, settings()) : Result<void>();
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
