// SPDX-License-Identifier: BSD-3-Clause
#include "net/setting_capabilities.hpp"

#include <fmt/format.h>

#include <set>

#include "net/config_check.hpp"
#include "net/port_machine.hpp"
#include "net/rss_setting.hpp"
#include "pollux/net/virtual_functions.hpp"

namespace pollux {
namespace {

using Rates = std::map<std::uint16_t, std::uint32_t>;

void set_rate(Rates& rates, std::uint16_t index, std::uint32_t megabits) {
  if (megabits == 0) {
    rates.erase(index);
  } else {
    rates[index] = megabits;
  }
}

}  // namespace

std::uint32_t rate_of(const Rates& rates, std::uint16_t index) noexcept {
  const auto rate = rates.find(index);
  return rate == rates.end() ? 0 : rate->second;
}

const Settings& SettingCapabilities::settings() const noexcept { return port_.settings(); }

Result<void> SettingCapabilities::change(std::string_view call, const std::function<void(Settings&)>& edit) {
  return port_.change(call, edit);
}

Result<void> SettingCapabilities::set_unicast(std::span<const MacAddress> addresses) {
  return change("set_unicast",
                [=](Settings& settings) { settings.unicast.assign(addresses.begin(), addresses.end()); });
}

std::size_t SettingCapabilities::max_unicast() const { return port_.max_unicast(); }

Result<void> SettingCapabilities::set_multicast(std::span<const MacAddress> groups) {
  const std::set<MacAddress> all(groups.begin(), groups.end());
  return change("set_multicast", [&](Settings& settings) { settings.multicast.assign(all.begin(), all.end()); });
}

// The filter is on from the first call, since a port without it receives all VLANs. VLAN 0 is a priority tag, which
// belongs to no VLAN; Linux, igb_main.c, igb_restore_vlan, receives it, too.
Result<void> SettingCapabilities::set_vlan(std::uint16_t vlan, bool receive) {
  if (auto valid = check_vlan(port_.info().name, vlan); !valid) return valid;
  return change("set_vlan", [=](Settings& settings) {
    if (!settings.vlans) settings.vlans = VlanSet(1);
    settings.vlans->set(vlan, receive);
  });
}

Result<void> SettingCapabilities::set_vlan_stripping(bool on) {
  return change("set_vlan_stripping", [=](Settings& settings) { settings.vlan_stripping = on; });
}

Result<void> SettingCapabilities::set_outer_vlan_type(std::optional<std::uint16_t> ether_type) {
  return change("set_outer_vlan_type", [=](Settings& settings) { settings.outer_vlan_type = ether_type; });
}

Result<void> SettingCapabilities::set_rss(const RssConfig& config) {
  return change("set_rss", [&](Settings& settings) { settings.rss = config; });
}

RssConfig SettingCapabilities::rss() const { return effective_rss(settings(), port_.info().limits); }

std::uint32_t SettingCapabilities::table_size() const { return port_.info().limits.rss_table; }

// The limits of a pool end with it.
Result<void> SettingCapabilities::set_queue_pools(const QueuePoolsConfig& config) {
  return change("set_queue_pools", [&](Settings& settings) {
    settings.pools = config;
    std::erase_if(settings.pool_tx_rates, [&](const auto& rate) { return rate.first >= config.pools.size(); });
  });
}

std::uint16_t SettingCapabilities::queue_of(std::uint16_t pool, std::uint16_t index) const noexcept {
  return static_cast<std::uint16_t>(pool + index * port_.info().limits.max_pools);
}

// With virtual functions the other queues belong to them, or to no pool.
Result<void> SettingCapabilities::set_tx_rate(std::uint16_t queue, std::uint32_t megabits) {
  const auto* const functions = port_.capability<VirtualFunctions>();
  const bool has_functions = functions != nullptr && functions->functions() != 0;
  const std::uint32_t queues = has_functions ? 1 : port_.info().limits.max_tx_queues;
  if (queue >= queues) {
    return refuse(port_.info().name, fmt::format("rate limit: there is no transmit queue {}", queue),
                  fmt::format("the port has {} of them, counted from 0", queues));
  }
  return change("set_tx_rate", [=](Settings& settings) { set_rate(settings.tx_rates, queue, megabits); });
}

std::uint32_t SettingCapabilities::tx_rate(std::uint16_t queue) const { return rate_of(settings().tx_rates, queue); }

Result<void> SettingCapabilities::set_pool_tx_rate(std::uint16_t pool, std::uint32_t megabits) {
  return change("set_pool_tx_rate", [=](Settings& settings) { set_rate(settings.pool_tx_rates, pool, megabits); });
}

std::uint32_t SettingCapabilities::pool_tx_rate(std::uint16_t pool) const {
  return rate_of(settings().pool_tx_rates, pool);
}

Result<void> SettingCapabilities::set_loopback(LoopbackMode mode) {
  return change("set_loopback", [=](Settings& settings) { settings.loopback = mode; });
}

Result<void> SettingCapabilities::set_flow_control(const FlowControlConfig& config) {
  return change("set_flow_control", [&](Settings& settings) { settings.flow_control = config; });
}

FlowControlState SettingCapabilities::flow_control() {
  auto* const state = port_.driver().capability<PauseState>();
  return state == nullptr ? FlowControlState{.config = settings().flow_control} : state->pause_state();
}

}  // namespace pollux
