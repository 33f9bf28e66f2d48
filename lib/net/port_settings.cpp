// SPDX-License-Identifier: BSD-3-Clause
// PortMachine: changes the settings of the port.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "net/config_check.hpp"
#include "net/port_machine.hpp"
#include "net/settings_check.hpp"

namespace pollux {

Result<void> PortMachine::change(const std::function<void(Settings&)>& edit, std::string_view call) {
  if (auto fits = expect(kAlive, call); !fits) return fits;
  PlacedSettings to = settings();
  edit(to);
  settle(to);
  if (to.queues != queue_settings()) return set_up(to);
  if (auto valid = check(to); !valid) return valid;
  if (state_ == PortState::started || reaches_stopped(settings(), to)) return apply(std::move(to));
  driver_->settings_ = std::move(to);
  return {};
}

// What of the settings follows from others, or can be written in several ways.
void PortMachine::settle(PlacedSettings& to) const {
  if (to.mac == driver_->permanent_mac()) to.mac = {};
  std::ranges::sort(to.unicast);
  std::ranges::sort(to.multicast);
  to.multicast.erase(std::unique(to.multicast.begin(), to.multicast.end()), to.multicast.end());
  if (to.vlans) to.vlans->set(0);  // a priority tag, which belongs to no VLAN: Linux, igb_main.c, igb_restore_vlan
  for (auto* const rates : {&to.tx_rates, &to.pool_tx_rates})
    std::erase_if(*rates, [](const auto& rate) { return rate.second == 0; });
  // A clock that runs goes on, in steps of its own.
  if (!to.clock_frequency) to.clock_frequency = settings().clock_frequency;
  if (to.stamps != settings().stamps && !to.clock_frequency) to.clock_frequency = 0;
  const PortClockLimits& clock = info().limits.clock;
  if (to.clock_frequency && clock.frequency_step != 0 && std::abs(*to.clock_frequency) <= clock.max_frequency)
    to.clock_frequency = std::round(*to.clock_frequency / clock.frequency_step) * clock.frequency_step;
  std::erase_if(to.slots.rules, [&](const auto& slot) {
    const auto own = settings().rules.find(slot.first);
    const auto rule = to.rules.find(slot.first);
    return own == settings().rules.end() || rule == to.rules.end() || own->second != rule->second;
  });
}

Result<void> PortMachine::set_up(const PlacedSettings& wanted) {
  if (state_ == PortState::started) {
    return fail(ErrorCode::bad_state,
                fmt::format("{}: queues cannot be changed while the port is started", info().name),
                "stop the port first, or restart one queue (Port::restart_rx)");
  }
  auto to = with_queues_of(wanted, info(), *context_);
  return to ? configure(*std::move(to)) : pass_on(std::move(to));
}

Result<void> PortMachine::check(PlacedSettings& to) {
  auto valid = check_settings({settings(), to, info(), state_});
  return valid ? driver_->check(settings(), to) : valid;
}

// What a removed card had is lost anyway, and what its owner refuses has not changed.
Result<void> PortMachine::apply(PlacedSettings to) {
  const bool pauses = state_ == PortState::started && needs_pause(settings(), to);
  if (pauses) {
    if (auto paused = driver_->pause(kPauseLimit); !paused) return paused;
  }
  std::swap(to, driver_->settings_);
  auto applied = driver_->apply(&to, settings());
  if (!applied) std::swap(to, driver_->settings_);
  Result<void> rebuilt;
  const ErrorCode code = applied ? ErrorCode{} : applied.error().code;
  if (!applied && code != ErrorCode::device_removed && code != ErrorCode::permission_denied) {
    rebuilt = driver_->apply(&to, settings());
  }
  if (pauses) driver_->unpause();
  if (rebuilt) return applied;
  context_->log(LogLevel::error, rebuilt.error().message());
  return enter_failed(applied.error());
}

Result<void> PortMachine::set_mac(const MacAddress& mac) {
  return change([&](Settings& settings) { settings.mac = mac; }, "set_mac");
}

Result<void> PortMachine::set_mtu(std::uint32_t bytes) {
  if (auto fits = expect(kConfigured, "set_mtu"); !fits) return fits;
  return change([=](Settings& settings) { settings.mtu = bytes; }, "set_mtu");
}

Result<void> PortMachine::set_promiscuous(bool on) {
  if (auto fits = expect(kConfigured, "set_promiscuous"); !fits) return fits;
  return change([=](Settings& settings) { settings.promiscuous = on; }, "set_promiscuous");
}

Result<void> PortMachine::set_all_multicast(bool on) {
  if (auto fits = expect(kConfigured, "set_all_multicast"); !fits) return fits;
  return change([=](Settings& settings) { settings.all_multicast = on; }, "set_all_multicast");
}

}  // namespace pollux
