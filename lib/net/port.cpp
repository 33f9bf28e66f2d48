// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/port.hpp"

#include <chrono>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include "mem/context_state.hpp"
#include "mem/leave_to_parent.hpp"
#include "net/port_core.hpp"
#include "net/settings_check.hpp"
#include "pollux/net/open_ports.hpp"

namespace pollux {

Result<std::unique_ptr<ForwardPath>> PortDriver::forward_path(std::uint16_t, PortDriver&, std::uint16_t) {
  return fail(ErrorCode::not_supported, info().name + ": the " + info().driver + " driver has no forward path",
              "forward with rx_burst and tx_burst, which every port has");
}

Result<void> PortDriver::attach(std::unique_ptr<Device>) {
  return fail(ErrorCode::not_supported, info().name + ": the " + info().driver + " driver keeps its device",
              "close the port and open it again");
}

std::uint32_t PortDriver::drain(DrainReason) noexcept { return 0; }

Port::Port(std::shared_ptr<ContextState> context, std::unique_ptr<PortDriver> driver)
    : core_(PortCore::create(std::move(context), std::move(driver))), queues_(&core_->machine().driver().queues()) {}

Port::Port(std::shared_ptr<PortCore> core) : core_(std::move(core)), queues_(&core_->machine().driver().queues()) {}

Port::Port(Port&& other) noexcept
    : core_(std::move(other.core_)), queues_(std::exchange(other.queues_, nullptr)), user_(other.user_) {}

Port& Port::operator=(Port&& other) noexcept {
  Port taken(std::move(other));  // `other` may be this port
  std::swap(core_, taken.core_);
  std::swap(queues_, taken.queues_);
  std::swap(user_, taken.user_);
  return *this;
}

Port::~Port() {
  if (core_ == nullptr) return;
  if (core_->context().is_own()) {
    core_->retire();
  } else {
    leave_to_parent(std::move(core_));
  }
}

const PortInfo& Port::info() const { return core_->machine().info(); }

const OffloadLimits& Port::offloads() const { return info().offloads; }

std::vector<std::string_view> Port::capabilities() const {
  const auto lock = core_->lock();
  std::vector<std::string_view> names;
  for (const CapabilityEntry& entry : core_->machine().driver().capabilities()) names.push_back(entry.id.name);
  return names;
}

Error Port::lacks(const CapabilityId& capability) const {
  const auto names = capabilities();
  return {ErrorCode::not_supported, fmt::format("{} has no capability {}", info().name, capability.name),
          names.empty() ? "use another port; this one has no capabilities"
                        : fmt::format("use another port; this one has {}", fmt::join(names, ", "))};
}

Error Port::lacks(Setting setting) const { return unsupported(setting, info()); }

PortState Port::state() const { return core_->with_lock(&PortMachine::state); }

EffectiveConfig Port::config() const { return core_->with_lock(&PortMachine::config); }

Settings Port::settings() const {
  Settings settings = core_->with_lock([](PortMachine& machine) { return Settings(machine.settings()); });
  for (RxQueueConfig& queue : settings.rx) queue.cache = {};
  for (TxQueueConfig& queue : settings.tx) queue.cache = {};
  return settings;
}

Result<void> Port::change(const std::function<void(Settings&)>& edit) {
  return core_->call(&PortMachine::change, edit);
}

std::optional<Mempool> Port::rx_pool(std::uint16_t queue) const {
  return core_->with_lock(&PortMachine::rx_pool, queue);
}

Result<void> Port::stop_queue(QueueId queue) { return core_->call(&PortMachine::stop_queue, queue); }

Result<void> Port::start_queue(QueueId queue) { return core_->call(&PortMachine::start_queue, queue); }

Result<void> Port::start() { return core_->start(); }

Result<void> Port::stop() { return core_->call(&PortMachine::stop); }

Result<void> Port::suspend() { return core_->call(&PortMachine::suspend); }

Result<void> Port::resume() { return core_->resume(); }

Result<void> Port::detach() { return core_->detach(); }

Result<void> Port::attach(std::unique_ptr<Device> device) { return core_->attach(std::move(device)); }

Result<void> Port::close() { return core_->close(); }

Result<std::unique_ptr<ForwardPath>> Port::forward_path(std::uint16_t rx_queue, Port& out, std::uint16_t tx_queue) {
  const ForwardPorts ports(core_, out.core_);
  const auto locks = ports.lock();
  auto path = core_->machine().forward_path(rx_queue, out.core_->machine(), tx_queue);
  if (path) (*path)->ports_ = std::make_unique<ForwardPorts>(ports);
  return path;
}

Result<void> Port::attach_observer(std::uint16_t rx_queue, RxObserver& observer) {
  return core_->with_lock([&](PortMachine& machine) { return machine.attach_observer(rx_queue, observer); });
}

Result<void> Port::attach_observer(std::uint16_t tx_queue, TxObserver& observer) {
  return core_->with_lock([&](PortMachine& machine) { return machine.attach_observer(tx_queue, observer); });
}

Result<void> Port::detach_observer(std::uint16_t rx_queue, RxObserver& observer) {
  return core_->with_lock([&](PortMachine& machine) { return machine.detach_observer(rx_queue, observer); });
}

Result<void> Port::detach_observer(std::uint16_t tx_queue, TxObserver& observer) {
  return core_->with_lock([&](PortMachine& machine) { return machine.detach_observer(tx_queue, observer); });
}

MacAddress Port::mac() const { return core_->with_lock(&PortMachine::mac); }

MacAddress Port::permanent_mac() const {
  return core_->with_lock([](PortMachine& machine) { return machine.driver().permanent_mac(); });
}

Link Port::link() { return core_->with_lock(&PortMachine::link); }

// The mutex is released between two polls, so other control calls can run.
Result<Link> Port::wait_for_link(Duration limit) {
  Link found;
  static_cast<void>(wait_until(
      core_->context().clock(), info().name + ": link up", limit,
      [&] {
        found = link();
        return found.up || state() == PortState::closed || state() == PortState::failed;
      },
      std::chrono::milliseconds(1)));
  if (auto served = service(); !served) return pass_on(std::move(served));
  if (found.up) return found;
  const std::string what = fmt::format("{}: the link is still down after {} ms", info().name,
                                       std::chrono::duration_cast<std::chrono::milliseconds>(limit).count());
  if (state() != PortState::started) return fail(ErrorCode::timeout, what, "start the port");
  return fail(
      ErrorCode::timeout, what,
      "check the cable, and that the link partner is started (for a ring: port, its other end); or wait longer");
}

void Port::on_event(PortEventHandler handler) { core_->on_event(std::move(handler)); }

Stats Port::stats() { return core_->with_lock(&PortMachine::stats); }

std::vector<Counter> Port::extended_stats() { return core_->with_lock(&PortMachine::extended_stats); }

Result<Duration> Port::service() { return core_->service(); }

std::unique_lock<std::mutex> lock_port(PortCore& core) { return core.lock(); }

// The driver may replace its table when a device is attached.
void* Port::find_capability(CapabilityId id) {
  return core_->with_lock([&](PortMachine& machine) { return machine.capability(id); });
}

RxQueue& Port::missing_rx(std::uint16_t index, Site site) { return core_->missing_rx(index, site); }

TxQueue& Port::missing_tx(std::uint16_t index, Site site) { return core_->missing_tx(index, site); }

std::uint64_t PortRegistry::add(std::weak_ptr<PortCore> core) {
  const std::lock_guard lock(mutex_);
  ports_.emplace(++last_id_, std::move(core));
  return last_id_;
}

void PortRegistry::remove(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  ports_.erase(id);
}

std::vector<std::pair<std::uint64_t, std::shared_ptr<PortCore>>> PortRegistry::ports() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::uint64_t, std::shared_ptr<PortCore>>> all;
  for (const auto& [id, core] : ports_) {
    if (auto alive = core.lock()) all.emplace_back(id, std::move(alive));
  }
  return all;
}

OpenPort::OpenPort(std::uint64_t id, std::shared_ptr<PortCore> core, std::shared_lock<std::shared_mutex> lock)
    : id_(id), core_(std::move(core)), lock_(std::move(lock)), port_(core_) {}

// Without its core, port_ is as one that was moved from, and its destructor closes nothing.
OpenPort::~OpenPort() { port_.core_.reset(); }

std::vector<OpenPort> open_ports(Context& context) {
  std::vector<OpenPort> open;
  for (auto& [id, core] : context.service<PortRegistry>().ports()) {
    std::shared_lock in_use = core->try_use();
    if (in_use) open.push_back(OpenPort(id, std::move(core), std::move(in_use)));
  }
  return open;
}

}  // namespace pollux
