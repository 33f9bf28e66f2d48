// SPDX-License-Identifier: BSD-3-Clause
#include "observe/port_meters.hpp"

#include <functional>
#include <utility>

namespace pollux::observe {
namespace {

/// Attaches meters to the queues that have none, and to those whose observers were detached because the port was
/// configured again.
template <class Meter>
void attach_all(Port& port, std::size_t queues, std::vector<Meter*>& meters, MeterStore& store,
                const std::function<Meter&()>& make, Result<void>& outcome) {
  // A configuration with fewer queues has detached the observers of the others.
  for (std::size_t i = queues; i < meters.size(); ++i) {
    if (meters[i] != nullptr) store.destroy(*meters[i]);
  }
  meters.resize(queues, nullptr);
  for (std::size_t i = 0; i < queues; ++i) {
    Meter& meter = meters[i] != nullptr ? *meters[i] : make();
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

RxMeter& MeterStore::make_rx() {
  const std::lock_guard lock(mutex_);
  return rx_.emplace_back();
}

TxMeter& MeterStore::make_tx() {
  const std::lock_guard lock(mutex_);
  return tx_.emplace_back();
}

void MeterStore::destroy(const RxMeter& meter) {
  const std::lock_guard lock(mutex_);
  rx_.remove_if([&](const RxMeter& one) { return &one == &meter; });
}

void MeterStore::destroy(const TxMeter& meter) {
  const std::lock_guard lock(mutex_);
  tx_.remove_if([&](const TxMeter& one) { return &one == &meter; });
}

Result<void> PortMeters::attach(OpenPort& port, Queues& queues) {
  const EffectiveConfig config = port->config();
  Result<void> outcome;
  attach_all<RxMeter>(
      *port, config.rx.size(), queues.rx, store_, [this]() -> RxMeter& { return store_.make_rx(); }, outcome);
  attach_all<TxMeter>(
      *port, config.tx.size(), queues.tx, store_, [this]() -> TxMeter& { return store_.make_tx(); }, outcome);
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
