// SPDX-License-Identifier: BSD-3-Clause
// PortMachine: changes the settings of the port.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "net/config_check.hpp"
#include "net/port_machine.hpp"
#include "net/settings_check.hpp"

namespace pollux {
namespace {

// What a program has read of the settings is without caches.
template <class Queue>
void settle_queues(std::vector<Queue>& queues, const std::vector<Queue>& own, const PortLimits& limits) {
  for (std::size_t i = 0; i < queues.size(); ++i) {
    queues[i].ring = ring_or_default(queues[i].ring, limits);
    if (i >= own.size() || queues[i].cache) continue;
    queues[i].cache = own[i].cache;
    if (queues[i] != own[i]) queues[i].cache = {};
  }
}

}  // namespace

Result<void> PortMachine::change(const std::function<void(Settings&)>& edit) {
  if (auto fits = expect(kAlive, "change"); !fits) return fits;
  PlacedSettings to = settings();
  edit(to);
  const bool to_come = state_ == PortState::opened && to.rx.empty() && to.tx.empty();
  if (state_ == PortState::opened && !to_come && driver_->uri_settings_) {
    if (auto edited = driver_->uri_settings_(to); !edited) return edited;
  }
  settle(to);
  if (auto can = check_changeable({settings(), to, info(), state_}); !can) return can;
  if (!to_come && queues_differ(settings(), to))
    return state_ == PortState::started ? change_queues(std::move(to)) : set_up(std::move(to));
  if (auto valid = check(to); !valid) return valid;
  if (state_ == PortState::started || reaches_stopped(settings(), to)) return apply(std::move(to));
  driver_->settings_ = std::move(to);
  return {};
}

// What of the settings follows from others, or can be written in several ways.
void PortMachine::settle(PlacedSettings& to) const {
  settle_queues(to.rx, settings().rx, info().limits);
  settle_queues(to.tx, settings().tx, info().limits);
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

Result<void> PortMachine::check(PlacedSettings& to) {
  auto valid = check_settings({settings(), to, info(), state_});
  return valid ? driver_->check(settings(), to) : valid;
}

Result<void> PortMachine::apply(PlacedSettings to) {
  Applied applied = try_apply(std::move(to));
  return applied.kept ? std::move(applied.done) : enter_failed(applied.done.error());
}

// What a removed card had is lost anyway, and what its owner refuses has not changed.
PortMachine::Applied PortMachine::try_apply(PlacedSettings to) {
  const bool pauses = state_ == PortState::started && needs_pause(settings(), to);
  if (pauses) {
    if (auto paused = driver_->pause(kPauseLimit); !paused) return {.done = std::move(paused)};
  }
  std::swap(to, driver_->settings_);
  Applied applied{.done = driver_->apply(&to, settings())};
  if (!applied.done) std::swap(to, driver_->settings_);
  const ErrorCode code = applied.done ? ErrorCode{} : applied.done.error().code;
  if (!applied.done && code != ErrorCode::device_removed && code != ErrorCode::permission_denied) {
    applied.kept = driver_->apply(&to, settings());
  }
  if (pauses) driver_->unpause();
  if (!applied.kept) context_->log(LogLevel::error, applied.kept.error().message());
  return applied;
}

}  // namespace pollux
