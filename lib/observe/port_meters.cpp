// SPDX-License-Identifier: BSD-3-Clause
#include "observe/port_meters.hpp"

#include <chrono>
#include <utility>

#include "pollux/net/port_config.hpp"

namespace pollux::observe {
namespace {

void add_to(std::atomic<std::uint64_t>& counter, std::uint64_t value) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

}  // namespace

double CycleRate::per_second() const {
  const Duration passed = clock_.now() - start_;
  if (passed < std::chrono::milliseconds(1)) return 0;
  return static_cast<double>(read_cycles() - cycles_) / std::chrono::duration<double>(passed).count();
}

void RxMeter::polled(std::uint64_t frames) noexcept {
  const std::uint64_t now = read_cycles();
  if (last_poll_ != 0) {
    const std::uint64_t interval = now - last_poll_;
    poll_intervals_.add(interval);
    add_busy(interval);
  }
  last_poll_ = now;
  last_frames_ = frames;
}

void RxMeter::add_busy(std::uint64_t cycles) noexcept {
  if (last_frames_ == 0) return;
  add_to(busy_cycles_, cycles);
  add_to(busy_frames_, last_frames_);
}

// The queue may have been armed before the last poll, since polling an armed queue is allowed.
void RxMeter::slept(const RxQueue&, std::uint64_t since) noexcept {
  if (since > last_poll_ && last_poll_ != 0) add_busy(since - last_poll_);
  last_poll_ = 0;
}

void RxMeter::received(const RxQueue&, std::span<Mbuf* const> frames) noexcept {
  add_to(bursts_, 1);
  add_to(frames_, frames.size());
  burst_sizes_.add(frames.size());
  polled(frames.size());
}

void RxMeter::found_none(const RxQueue&) noexcept {
  add_to(empty_polls_, 1);
  polled(0);
}

void TxMeter::sending(const TxQueue&, std::span<Mbuf* const> frames) noexcept { given_ = frames.size(); }

void TxMeter::sent(const TxQueue&, std::uint32_t count) noexcept {
  add_to(bursts_, 1);
  add_to(frames_, count);
  add_to(refused_, given_ - count);
  burst_sizes_.add(count);
}

namespace {

/// Attaches meters to the queues that have none, and to those whose observers were detached because the port was
/// configured again.
template <class Meter>
void attach_all(Port& port, std::size_t queues, std::vector<Meter*>& meters, MeterStore& store, Result<void>& outcome) {
  // A configuration with fewer queues has detached the observers of the others.
  for (std::size_t i = queues; i < meters.size(); ++i) {
    if (meters[i] != nullptr) store.destroy(*meters[i]);
  }
  meters.resize(queues, nullptr);
  for (std::size_t i = 0; i < queues; ++i) {
    Meter& meter = meters[i] != nullptr ? *meters[i] : store.make<Meter>();
    auto attached = port.attach_observer(static_cast<std::uint16_t>(i), meter);
    const bool is_known = meters[i] != nullptr;
    // Usually it is attached still, and therefore busy.
    if (attached || (is_known && attached.error().code == ErrorCode::busy)) {
      meters[i] = &meter;
      continue;
    }
    outcome = std::move(attached);
    if (!is_known) store.destroy(meter);
  }
}

template <class Meter>
void detach_all(Port& port, const std::vector<Meter*>& meters, MeterStore& store) {
  for (std::size_t i = 0; i < meters.size(); ++i) {
    if (meters[i] == nullptr) continue;
    const auto detached = port.detach_observer(static_cast<std::uint16_t>(i), *meters[i]);
    // It is also not found where the port was configured again.
    if (detached || detached.error().code == ErrorCode::not_found) store.destroy(*meters[i]);
  }
}

}  // namespace

Result<void> PortMeters::attach(OpenPort& port, Queues& queues) {
  const EffectiveConfig config = port->config();
  Result<void> outcome;
  attach_all(*port, config.rx.size(), queues.rx, store_, outcome);
  attach_all(*port, config.tx.size(), queues.tx, store_, outcome);
  return outcome;
}

void PortMeters::detach(OpenPort& port, const Queues& queues) {
  detach_all(*port, queues.rx, store_);
  detach_all(*port, queues.tx, store_);
}

Result<void> PortMeters::watch(OpenPort& port, std::uint64_t client) {
  const auto known = watched_.find(port.id());
  if (known != watched_.end()) {
    known->second.clients.insert(client);
    return {};
  }
  Watched watched{{client}, {}};
  if (auto attached = attach(port, watched.queues); !attached) {
    detach(port, watched.queues);
    return attached;
  }
  watched_.emplace(port.id(), std::move(watched));
  return {};
}

void PortMeters::unwatch(OpenPort& port, std::uint64_t client) {
  const auto known = watched_.find(port.id());
  if (known == watched_.end()) return;
  known->second.clients.erase(client);
  if (!known->second.clients.empty()) return;
  detach(port, known->second.queues);
  watched_.erase(known);
}

void PortMeters::forget_client(std::uint64_t client, std::vector<OpenPort>& ports) {
  for (OpenPort& port : ports) unwatch(port, client);
  // Closing a port has detached its observers.
  for (auto& [id, watched] : watched_) watched.clients.erase(client);
  std::erase_if(watched_, [](const auto& watched) { return watched.second.clients.empty(); });
}

const PortMeters::Queues* PortMeters::find(OpenPort& port) {
  const auto known = watched_.find(port.id());
  if (known == watched_.end()) return nullptr;
  static_cast<void>(attach(port, known->second.queues));
  return &known->second.queues;
}

}  // namespace pollux::observe
