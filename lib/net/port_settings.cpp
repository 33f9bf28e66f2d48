// SPDX-License-Identifier: BSD-3-Clause
// PortMachine: changes the settings of the port.
#include <fmt/format.h>

#include <algorithm>

#include "net/config_check.hpp"
#include "net/port_machine.hpp"
#include "net/settings_check.hpp"

namespace pollux {
Result<void> PortMachine::change(const std::function<void(Settings&)>& edit, std::string_view call) {
  if (auto fits = expect(kAlive, call); !fits) return fits;
  Settings to = settings();
  edit(to);
  settle(to);
  if (to.queues != queue_settings()) return set_up(to);
  if (auto valid = check(to); !valid) return valid;
  if (state_ == PortState::started || reaches_stopped(settings(), to)) return apply(std::move(to));
  driver_->settings_ = std::move(to);
  return {};
}

// What of the settings follows from others, or can be written in several ways. Another port's filters are not this
// one's.
void PortMachine::settle(Settings& to) const {
  if (to.mac == driver_->permanent_mac()) to.mac = {};
  std::ranges::sort(to.multicast);
  to.multicast.erase(std::unique(to.multicast.begin(), to.multicast.end()), to.multicast.end());
  if (to.vlans) to.vlans->set(0);  // a priority tag, which belongs to no VLAN: Linux, igb_main.c, igb_restore_vlan
  for (auto* const rates : {&to.tx_rates, &to.pool_tx_rates})
    std::erase_if(*rates, [](const auto& rate) { return rate.second == 0; });
  if (to.stamps != settings().stamps && !to.clock_frequency) to.clock_frequency = 0;
  to.slots = settings().slots;
  for (PlacedRule& rule : to.rules) {
    const auto& own = settings().rules;
    const auto found = std::ranges::find(own, rule.id, &PlacedRule::id);
    rule.slot = found != own.end() && found->rule == rule.rule ? found->slot : std::nullopt;
    to.last_rule = std::max(to.last_rule, static_cast<std::uint64_t>(rule.id));
  }
}

Result<void> PortMachine::set_up(const Settings& wanted) {
  if (state_ == PortState::started) {
    return fail(ErrorCode::bad_state,
                fmt::format("{}: queues cannot be changed while the port is started", info().name),
                "stop the port first, or restart one queue (Port::restart_rx)");
  }
  auto to = with_queues_of(wanted, info(), *context_);
  return to ? configure(*std::move(to)) : pass_on(std::move(to));
}

Result<void> PortMachine::check(Settings& to) {
  auto valid = check_settings({settings(), to, info(), state_});
  return valid ? driver_->check(settings(), to) : valid;
}

// What a removed card had is lost anyway, and what its owner refuses has not changed.
Result<void> PortMachine::apply(Settings to) {
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
  return change(
      [&](Settings& settings) { settings.mac = mac == driver_->permanent_mac() ? std::nullopt : std::optional(mac); },
      "set_mac");
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
