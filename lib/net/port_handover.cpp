// SPDX-License-Identifier: BSD-3-Clause
// PortMachine: gives a started port to another program.
#include <fmt/format.h>

#include <utility>

#include "net/handover/port_handover.hpp"
#include "net/json/settings_json.hpp"
#include "net/port_machine.hpp"

namespace pollux {

Result<handover::DescribedPort> PortMachine::describe_handover() {
  if (auto fits = expect({PortState::started}, "a handover"); !fits) return pass_on(std::move(fits));
  auto* const part = capability<handover::PortHandover>();
  if (part == nullptr) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: the driver {} cannot hand its port over", info().name, info().driver),
                "close this port first, or end the program and start the new one; xdp: ports, and igb cards of vfio:, "
                "can be handed over");
  }
  if (!stopped_rx_.empty() || !stopped_tx_.empty()) {
    return fail(ErrorCode::bad_state, fmt::format("{}: a queue of the port is stopped", info().name),
                "start it by Port::start_queue");
  }
  auto offer = part->describe();
  if (!offer) return pass_on(std::move(offer));
  handover::DescribedPort described;
  described.json = {{"message", "port"},
                    {"name", info().name},
                    {"driver", info().driver},
                    {"settings", json::settings_json(settings())},
                    {"details", std::move(offer->details)},
                    {"descriptors", json::Json::array()}};
  for (const auto& [name, descriptor] : offer->descriptors) {
    described.json["descriptors"].push_back(name);
    described.descriptors.push_back(descriptor);
  }
  return described;
}

Result<bool> PortMachine::drain_handover() {
  leaving_ = true;
  return capability<handover::PortHandover>()->stop_receiving();
}

Result<std::vector<handover::QueueRecord>> PortMachine::freeze_handover() {
  leaving_ = true;
  if (auto closed = driver_->close_queues(kPauseLimit); !closed) return pass_on(std::move(closed));
  return capability<handover::PortHandover>()->freeze();
}

void PortMachine::thaw_handover() {
  if (!std::exchange(leaving_, false)) return;
  const bool restarts = capability<handover::PortHandover>()->thaw();
  if (state_ != PortState::started) return;
  if (!restarts) return driver_->open_queues();
  const auto restart_all = [this](QueueDirection direction, std::size_t count) -> Result<void> {
    for (std::size_t i = 0; i < count; ++i) {
      if (auto done = restart({direction, static_cast<std::uint16_t>(i)}, settings()); !done) return done;
    }
    return {};
  };
  auto done = restart_all(QueueDirection::receive, queues().rx_queues());
  if (done) done = restart_all(QueueDirection::transmit, queues().tx_queues());
  if (done) return;
  if (state_ == PortState::started) static_cast<void>(enter_failed(done.error()));
  context_->log(LogLevel::error, fmt::format("after a handover that was given up: {}", done.error().message()));
}

void PortMachine::leave_to_successor() {
  leaving_ = false;
  capability<handover::PortHandover>()->leave();
  static_cast<void>(halt());
  drain_rings(DrainReason::stopped);
  static_cast<void>(release_device());
}

}  // namespace pollux
