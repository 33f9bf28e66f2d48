// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <utility>

#include "pollux/base/error.hpp"
#include "pollux/net/settings.hpp"

namespace pollux::test {

/// Sets up the queues of a port that is not started, with what concerns all of them, and the frames that it receives;
/// all other settings stay. `Port` is a Port or a PortMachine, here and below.
template <class Port>
[[nodiscard]] Result<void> configure_port(Port& port, const Settings& wanted = {}) {
  return port.change([&](Settings& settings) {
    settings.rx = wanted.rx;
    settings.tx = wanted.tx;
    settings.mtu = wanted.mtu;
    settings.promiscuous = wanted.promiscuous;
    settings.all_multicast = wanted.all_multicast;
    settings.keep_fcs = wanted.keep_fcs;
    settings.keep_bad_frames = wanted.keep_bad_frames;
    settings.count_bytes = wanted.count_bytes;
    settings.packet_buffers = wanted.packet_buffers;
    settings.tx_timeout = wanted.tx_timeout;
    settings.rx_timeout = wanted.rx_timeout;
    settings.burst_mode = wanted.burst_mode;
  });
}

/// What was set on the port, and what resulted from it.
template <class Port>
[[nodiscard]] std::pair<Settings, EffectiveConfig> state_of(const Port& port) {
  return {port.settings(), port.config()};
}

/// Gives all queues a pool and a cache of it.
inline void use_pool(Settings& settings, const Mempool& pool, const MempoolCache& cache = {}) {
  for (RxQueueConfig& queue : settings.rx) {
    queue.pool = pool;
    queue.cache = cache;
  }
  for (TxQueueConfig& queue : settings.tx) queue.cache = cache;
}

/// Changes one queue, of those that `queues` gives, by `edit`.
template <class Port, class Edit>
[[nodiscard]] Result<void> change_queue(Port& port, auto Settings::*queues, std::uint16_t queue, const Edit& edit) {
  bool there = true;
  auto changed = port.change([&](Settings& settings) {
    there = queue < (settings.*queues).size();
    if (there) edit((settings.*queues)[queue]);
  });
  if (changed && !there) return fail(ErrorCode::invalid_argument, "no such queue");
  return changed;
}

/// Changes the options of one queue, which restarts if they differ. Without a pool in `config` it keeps the one that it
/// has.
///@{
template <class Port>
[[nodiscard]] Result<void> restart_rx(Port& port, std::uint16_t queue, RxQueueConfig config) {
  return change_queue(port, &Settings::rx, queue, [&](RxQueueConfig& own) {
    if (!config.pool) config.pool = own.pool;
    own = config;
  });
}
template <class Port>
[[nodiscard]] Result<void> restart_tx(Port& port, std::uint16_t queue, const TxQueueConfig& config) {
  return change_queue(port, &Settings::tx, queue, [&](TxQueueConfig& own) { own = config; });
}
template <class Port>
[[nodiscard]] Result<void> resize_rx(Port& port, std::uint16_t queue, std::uint32_t ring) {
  return change_queue(port, &Settings::rx, queue, [&](RxQueueConfig& own) { own.ring = ring; });
}
template <class Port>
[[nodiscard]] Result<void> resize_tx(Port& port, std::uint16_t queue, std::uint32_t ring) {
  return change_queue(port, &Settings::tx, queue, [&](TxQueueConfig& own) { own.ring = ring; });
}
///@}

/// One setting.
///@{
template <class Port>
[[nodiscard]] Result<void> set_mac(Port& port, const MacAddress& mac) {
  return port.change([&](Settings& settings) { settings.mac = mac; });
}
template <class Port>
[[nodiscard]] Result<void> set_mtu(Port& port, std::uint32_t bytes) {
  return port.change([=](Settings& settings) { settings.mtu = bytes; });
}
template <class Port>
[[nodiscard]] Result<void> set_promiscuous(Port& port, bool on) {
  return port.change([=](Settings& settings) { settings.promiscuous = on; });
}
template <class Port>
[[nodiscard]] Result<void> set_all_multicast(Port& port, bool on) {
  return port.change([=](Settings& settings) { settings.all_multicast = on; });
}
///@}

/// For Port::change: the port receives that VLAN, or does not any more.
[[nodiscard]] inline auto with_vlan(std::uint16_t vlan, bool receive = true) {
  return [=](Settings& settings) {
    if (!settings.vlans) settings.vlans.emplace();
    settings.vlans->set(vlan, receive);
  };
}

/// Adds a rule to a port, and returns its id.
template <class Port>
[[nodiscard]] Result<FlowRuleId> add_rule(Port& port, const FlowRule& rule) {
  FlowRuleId id{};
  return port.change([&](Settings& settings) { id = pollux::add_rule(settings, rule); }).map([&] { return id; });
}
template <class Port>
[[nodiscard]] Result<void> remove_rule(Port& port, FlowRuleId id) {
  return port.change([=](Settings& settings) { settings.rules.erase(id); });
}

/// Enables that many virtual functions, with default settings.
template <class Port>
[[nodiscard]] Result<void> set_functions(Port& port, unsigned count) {
  return port.change([=](Settings& settings) { settings.functions.assign(count, {}); });
}
template <class Port>
[[nodiscard]] Result<void> set_function(Port& port, unsigned number, const VirtualFunctionConfig& config) {
  if (number >= port.settings().functions.size()) return fail(ErrorCode::invalid_argument, "no such function");
  return port.change([&](Settings& settings) { settings.functions[number] = config; });
}

/// Lets the clock of a port run, and returns its frequency in force, in ppb.
template <class Port>
[[nodiscard]] Result<double> run_clock(Port& port, double ppb = 0) {
  return port.change([=](Settings& settings) { settings.clock_frequency = ppb; }).map([&] {
    return *port.settings().clock_frequency;
  });
}

/// RSS as it is in force on a port.
[[nodiscard]] inline RssConfig rss_of(const auto& port) { return effective_rss(port.settings(), port.info().limits); }

}  // namespace pollux::test
