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
                "close this port first, or end the program and start the new one; xdp: ports can be handed over");
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

Result<std::vector<handover::QueueRecord>> PortMachine::freeze_handover() {
  if (auto closed = driver_->close_queues(kPauseLimit); !closed) {
    driver_->open_queues();
    return pass_on(std::move(closed));
  }
  auto queues = capability<handover::PortHandover>()->freeze();
  if (queues) {
    frozen_ = true;
  } else {
    driver_->open_queues();
  }
  return queues;
}

void PortMachine::thaw_handover() noexcept {
  if (!std::exchange(frozen_, false)) return;
  capability<handover::PortHandover>()->thaw();
  driver_->open_queues();
}

void PortMachine::leave_to_successor() {
  frozen_ = false;
  capability<handover::PortHandover>()->leave();
  static_cast<void>(halt());
  static_cast<void>(release_device());
}

}  // namespace pollux
