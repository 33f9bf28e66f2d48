// SPDX-License-Identifier: BSD-3-Clause
#include "net/setting_capabilities.hpp"

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "net/config_check.hpp"
#include "net/port_machine.hpp"
#include "net/rss_setting.hpp"
#include "net/settings_check.hpp"

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

PortDriver& SettingCapabilities::driver() const noexcept { return port_.driver(); }

Result<void> SettingCapabilities::change(std::string_view call, const std::function<void(Settings&)>& edit) {
  return port_.change(call, edit);
}

Result<void> SettingCapabilities::set_unicast(std::span<const MacAddress> addresses) {
  return change("set_unicast",
                [=](Settings& settings) { settings.unicast.assign(addresses.begin(), addresses.end()); });
}

std::size_t SettingCapabilities::max_unicast() const { return pollux::max_unicast(settings(), port_limits()); }

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

RssConfig SettingCapabilities::rss() const { return effective_rss(settings(), port_limits()); }

std::uint32_t SettingCapabilities::table_size() const { return port_limits().rss_table; }

// The limits of a pool end with it.
Result<void> SettingCapabilities::set_queue_pools(const QueuePoolsConfig& config) {
  return change("set_queue_pools", [&](Settings& settings) {
    settings.pools = config;
    std::erase_if(settings.pool_tx_rates, [&](const auto& rate) { return rate.first >= config.pools.size(); });
  });
}

std::uint16_t SettingCapabilities::queue_of(std::uint16_t pool, std::uint16_t index) const noexcept {
  return static_cast<std::uint16_t>(pool + index * port_limits().max_pools);
}

// With virtual functions the other queues belong to them, or to no pool.
Result<void> SettingCapabilities::set_tx_rate(std::uint16_t queue, std::uint32_t megabits) {
  const std::uint32_t queues = functions() != 0 ? 1 : port_limits().max_tx_queues;
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

LinkConfig SettingCapabilities::link_config() const {
  LinkConfig config = settings().link;
  if (config.advertised == kAllLinkModes) config.advertised = supported_modes();
  return config;
}

Result<void> SettingCapabilities::set_link_config(const LinkConfig& config) {
  return change("set_link_config", [&](Settings& settings) { settings.link = config; });
}

Result<void> SettingCapabilities::set_phy_enabled(bool enabled) {
  return change("set_phy_enabled", [=](Settings& settings) { settings.phy_enabled = enabled; });
}

Result<LinkDetails> SettingCapabilities::link_details() {
  auto details = part<LinkControl>().link_details();
  if (!details) return details;
  details->config = link_config();
  details->phy_enabled = phy_enabled();
  details->supported = supported_modes();
  return details;
}

Result<void> SettingCapabilities::expect_vector(std::uint16_t queue) {
  const auto vectors = rx_vectors();
  if (!vectors && vectors.error().code == ErrorCode::not_supported) return tl::unexpected<Error>(vectors.error());
  if (queue < port_limits().max_rx_queues) return {};
  return refuse(port_.info().name, fmt::format("there is no receive queue {}", queue),
                fmt::format("the port has at most {}", port_limits().max_rx_queues));
}

Result<void> SettingCapabilities::set_moderation(std::uint16_t queue, const InterruptModeration& moderation) {
  if (auto valid = expect_vector(queue); !valid) return valid;
  const std::vector<unsigned> vectors = rx_vectors().value_or(std::vector<unsigned>());
  return change("set_moderation", [&](Settings& settings) {
    settings.moderation[queue] = moderation;
    for (std::uint16_t other = 0; queue < vectors.size() && other < vectors.size(); ++other) {
      if (vectors[other] == vectors[queue]) settings.moderation[other] = moderation;
    }
  });
}

Result<InterruptModeration> SettingCapabilities::moderation(std::uint16_t queue) {
  if (auto valid = expect_vector(queue); !valid) return pass_on(std::move(valid));
  const auto set = settings().moderation.find(queue);
  return set == settings().moderation.end() ? InterruptModeration{} : set->second;
}

Result<void> SettingCapabilities::set_wake_events(const WakeEvents& events) {
  return change("set_wake_events", [&](Settings& settings) { settings.wake = events; });
}

Result<void> SettingCapabilities::set_led(LedMode mode) {
  return change("set_led", [=](Settings& settings) { settings.led = mode; });
}

Result<void> SettingCapabilities::set_frame_stamps(const FrameStampsConfig& config) {
  return change("set_frame_stamps", [&](Settings& settings) {
    settings.stamps = config;
    settings.clock_frequency = settings.clock_frequency.value_or(0);
  });
}

Result<FlowRuleId> SettingCapabilities::add(const FlowRule& rule) {
  const FlowRuleId id{settings().last_rule + 1};
  const auto edit = [&](Settings& settings) {
    ++settings.last_rule;
    settings.rules.push_back({{id, rule}});
  };
  return change("add", edit).map([id] { return id; });
}

Result<void> SettingCapabilities::remove(FlowRuleId id) {
  std::size_t removed = 0;
  const auto edit = [&](Settings& settings) {
    removed = std::erase_if(settings.rules, [id](const PlacedRule& rule) { return rule.id == id; });
  };
  if (auto changed = change("remove", edit); !changed || removed != 0) return changed;
  return fail(ErrorCode::not_found,
              fmt::format("{}: there is no flow rule {}", port_.info().name, static_cast<std::uint64_t>(id)),
              "use an id that add returned, once");
}

std::vector<InstalledRule> SettingCapabilities::rules() const {
  return {settings().rules.begin(), settings().rules.end()};
}

Result<void> SettingCapabilities::set_functions(unsigned count) {
  return change("set_functions", [=](Settings& settings) { settings.functions.assign(count, {}); });
}

Result<void> SettingCapabilities::expect_function(unsigned number) const {
  if (number < functions()) return {};
  return refuse(port_.info().name, fmt::format("there is no virtual function {}", number),
                fmt::format("{} are enabled; they are counted from 0", functions()));
}

Result<void> SettingCapabilities::set_function(unsigned number, const VirtualFunctionConfig& config) {
  if (auto exists = expect_function(number); !exists) return exists;
  return change("set_function", [&](Settings& settings) { settings.functions[number] = config; });
}

Result<VirtualFunctionState> SettingCapabilities::function(unsigned number) {
  if (auto exists = expect_function(number); !exists) return pass_on(std::move(exists));
  auto state = part<VirtualFunctions>().function(number);
  if (state) state->config = settings().functions[number];
  return state;
}

Result<void> SettingCapabilities::reset_function(unsigned number) {
  auto exists = expect_function(number);
  return exists ? part<VirtualFunctions>().reset_function(number) : exists;
}

Result<void> SettingCapabilities::use_clock(std::string_view call) {
  if (settings().clock_frequency) return {};
  return change(call, [](Settings& settings) { settings.clock_frequency = 0; });
}

Result<double> SettingCapabilities::set_frequency(double ppb) {
  return change("set_frequency", [=](Settings& settings) { settings.clock_frequency = ppb; }).map([this] {
    return frequency();
  });
}

double SettingCapabilities::frequency() const {
  const double step = limits().frequency_step;
  return std::round(settings().clock_frequency.value_or(0) / step) * step;
}

}  // namespace pollux
