// SPDX-License-Identifier: BSD-3-Clause
#include "net/settings_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <set>

#include "net/config_check.hpp"
#include "net/flow/match_fields.hpp"
#include "net/frame_size.hpp"
#include "net/port_identity.hpp"

namespace pollux {
namespace {

// The number of queues that entries of the table may name. A port that is not configured may have all.
std::uint32_t choices(const Settings& settings, const PortLimits& limits) noexcept {
  const std::uint32_t in_pool = queues_of_a_pool(settings.pools);
  if (in_pool > 1) return in_pool;
  return settings.rx.empty() ? limits.max_rx_queues : static_cast<std::uint32_t>(settings.rx.size());
}

/// What a started port needs for a change of a setting.
enum class Need : std::uint8_t {
  nothing,  ///< it takes effect at once
  pause,    ///< the queues pause meanwhile
  stop,     ///< it is refused: the port has to be stopped first
};

using Differs = bool(const Settings& from, const Settings& to);

struct SettingRow {
  Setting id;
  Differs* differs;
  Need need;
  Result<void> (*check)(const SettingsChange& change) = nullptr;  ///< of a value that differs
  bool reaches_stopped = false;  ///< it concerns the card of a port that is not started, too
  Differs* depends = nullptr;    ///< `check` is needed for this difference, too
};

Result<void> check_mac(const SettingsChange& change) {
  if (!change.to.mac || is_station_address(*change.to.mac)) return {};
  return refuse(change.port.name, fmt::format("{} cannot be a port's address", to_string(*change.to.mac)),
                "use an address that is not all zero and whose first byte is even");
}

Result<void> check_vlans(const SettingsChange& change) {
  constexpr std::size_t kReserved = 4095;
  if (!change.to.vlans || !change.to.vlans->test(kReserved)) return {};
  return check_vlan(change.port.name, kReserved);
}

Result<void> check_outer_type(const SettingsChange& change) {
  constexpr std::uint16_t kFirstType = 0x0600;
  constexpr std::uint16_t kIpv4Type = 0x0800;
  constexpr std::uint16_t kIpv6Type = 0x86DD;
  if (!change.to.outer_vlan_type) return {};
  const std::uint16_t type = *change.to.outer_vlan_type;
  if (type < kFirstType || type == kIpv4Type || type == kIpv6Type) {
    return refuse(change.port.name, fmt::format("{:#06x} is not the EtherType of a VLAN tag", type),
                  "use 0x88A8 (IEEE 802.1ad), 0x8100 or 0x9100");
  }
  return check_mtu(change.to, change.port);  // frames have two tags
}

bool is_group(const MacAddress& address) noexcept { return (address[0] & 1) != 0; }

Result<void> check_unicast(const SettingsChange& change) {
  const std::vector<MacAddress>& addresses = change.to.unicast;
  const std::string& port = change.port.name;
  for (const MacAddress& address : addresses) {
    if (is_station_address(address)) continue;
    return refuse(port, fmt::format("{} is not a unicast address", to_string(address)),
                  is_group(address) ? "its first byte is odd: it belongs to the multicast addresses" : "leave it out");
  }
  const std::set<MacAddress> all(addresses.begin(), addresses.end());
  if (all.size() != addresses.size()) return refuse(port, "a unicast address is given twice", "name each once");
  const std::size_t most = max_unicast(change.to, change.port.limits);
  if (addresses.size() <= most) return {};
  return refuse(port, fmt::format("{} unicast addresses are more than {}", addresses.size(), most),
                "set fewer first: the card has room for so many besides the port's own; promiscuous mode receives all");
}

Result<void> check_multicast(const SettingsChange& change) {
  const std::vector<MacAddress>& groups = change.to.multicast;
  const auto wrong = std::find_if_not(groups.begin(), groups.end(), is_group);
  if (wrong != groups.end()) {
    return refuse(change.port.name, fmt::format("{} is not a multicast address", to_string(*wrong)),
                  "the first byte of a multicast address is odd");
  }
  const std::uint32_t most = change.port.limits.max_multicast;
  if (groups.size() <= most) return {};
  return refuse(change.port.name, fmt::format("{} multicast groups are more than {}", groups.size(), most),
                "set all_multicast");
}

// DPDK, igb_rxtx.c, eth_igb_rss_hash_update, does not turn RSS on or off while the card receives, either.
Result<void> check_rss_change(const SettingsChange& change) {
  if (auto valid = check_rss(change.to, change.port); !valid) return valid;
  const auto is_on = [&](const Settings& settings) {
    return effective_rss(settings, change.port.limits).types.bits != 0;
  };
  if (change.state != PortState::started || is_on(change.from) == is_on(change.to)) return {};
  return fail(ErrorCode::bad_state,
              fmt::format("{}: RSS cannot be turned on or off while the port is started", change.port.name),
              "stop the port, set RSS, start it again");
}

// With virtual functions the other queues belong to them, or to no pool; the port keeps what was set for them before.
Result<void> check_tx_rates(const SettingsChange& change) {
  const std::uint32_t queues = change.to.functions.empty() ? change.port.limits.max_tx_queues : 1;
  for (const auto& [queue, megabits] : change.to.tx_rates) {
    if (queue < queues || rate_of(change.from.tx_rates, queue) == megabits) continue;
    return refuse(change.port.name, fmt::format("rate limit: there is no transmit queue {}", queue),
                  fmt::format("the port has {} of them, counted from 0", queues));
  }
  const auto& pool_rates = change.to.pool_tx_rates;
  if (!pool_rates.empty() && pool_rates.rbegin()->first >= change.to.pools.pools.size()) {
    return refuse(change.port.name, "rate limit: there is no such pool",
                  "set the pools first (Settings::pools); they are counted from 0");
  }
  const std::uint32_t most = change.port.limits.max_tx_rate;
  for (const auto* const rates : {&change.to.tx_rates, &change.to.pool_tx_rates}) {
    for (const auto& [index, megabits] : *rates) {
      if (megabits <= most) continue;
      return refuse(change.port.name, fmt::format("rate limit: {} Mb/s is more than {} Mb/s", megabits, most),
                    "use 0 for no limit");
    }
  }
  return {};
}

Result<void> check_link(const SettingsChange& change) {
  return check_link_config(change.port.name, change.to.link, change.port.limits.link_modes);
}

Result<void> check_moderation(const SettingsChange& change) {
  for (const auto& [queue, moderation] : change.to.moderation) {
    if (queue >= change.port.limits.max_rx_queues) {
      return refuse(change.port.name, fmt::format("moderation: there is no receive queue {}", queue),
                    fmt::format("the port has at most {}, counted from 0", change.port.limits.max_rx_queues));
    }
    const Duration interval = moderation.interval;
    const bool is_whole = interval == std::chrono::floor<std::chrono::microseconds>(interval);
    if (interval >= Duration::zero() && interval <= Interrupts::kMaxInterval && is_whole) continue;
    return refuse(change.port.name, fmt::format("an interrupt interval of {} ns is impossible", interval.count()),
                  "use whole microseconds, from 0 to 8191");
  }
  return {};
}

Result<void> check_clock(const SettingsChange& change) {
  const double ppb = change.to.clock_frequency.value_or(0);
  const double most = change.port.limits.clock.max_frequency;
  if (std::abs(ppb) <= most) return {};
  return refuse(change.port.name, fmt::format("clock: a frequency of {} ppb is out of range", ppb),
                fmt::format("use at most {:.0f} ppb in either direction", most));
}

Result<void> check_rules(const SettingsChange& change) {
  const auto queues = static_cast<std::uint16_t>(change.to.rx.size());
  for (const auto& [id, rule] : change.to.rules) {
    if (auto valid = check_rule(rule); !valid) return valid;
    auto fits = check_queues(rule.action, queues == 0 ? change.port.limits.max_rx_queues : queues, change.port.name);
    if (!fits) return fits;
  }
  return {};
}

Result<void> check_function(unsigned number, const VirtualFunctionConfig& config, const PortInfo& port) {
  constexpr unsigned kMaxPriority = 7;
  const auto refused = [&](const std::string& what, const char* hint) {
    return refuse(port.name, fmt::format("virtual function {}: {}", number, what), hint);
  };
  if (config.mac && !is_station_address(*config.mac)) {
    return refused(fmt::format("{} cannot be its address", to_string(*config.mac)),
                   "use an address that is not all zero and whose first byte is even");
  }
  if (config.vlan != 0) {
    if (auto valid = check_vlan(port.name, config.vlan); !valid) return valid;
  }
  if (config.qos > kMaxPriority) return refused(fmt::format("qos = {} is more than 7", config.qos), "use 0 to 7");
  if (config.qos != 0 && config.vlan == 0) return refused("qos without a vlan", "set the vlan, too");
  const std::uint32_t most = port.limits.max_tx_rate;
  if (config.max_rate <= most) return {};
  return refused(fmt::format("max_rate = {} Mb/s is more than {} Mb/s", config.max_rate, most), "use 0 for no limit");
}

Result<void> check_functions(const SettingsChange& change) {
  for (unsigned number = 0; number < change.to.functions.size(); ++number) {
    if (auto valid = check_function(number, change.to.functions[number], change.port); !valid) return valid;
  }
  return {};
}

template <auto... Members>
bool differs(const Settings& from, const Settings& to) {
  return ((from.*Members != to.*Members) || ...);
}

bool rx_queues_differ(const Settings& from, const Settings& to) { return from.rx.size() != to.rx.size(); }

bool rss_depends(const Settings& from, const Settings& to) {
  return from.pools != to.pools || rx_queues_differ(from, to);
}

bool number_of_functions_differs(const Settings& from, const Settings& to) {
  return from.functions.size() != to.functions.size();
}

constexpr std::array kRows{
    SettingRow{Setting::mac, differs<&Settings::mac>, Need::nothing, check_mac},
    SettingRow{Setting::mtu, differs<&Settings::mtu>, Need::nothing,
               [](const auto& c) { return check_mtu(c.to, c.port); }},
    SettingRow{Setting::promiscuous, differs<&Settings::promiscuous>, Need::nothing},
    SettingRow{Setting::all_multicast, differs<&Settings::all_multicast>, Need::nothing},
    SettingRow{Setting::functions, number_of_functions_differs, Need::stop, nullptr, true},
    SettingRow{Setting::functions, differs<&Settings::functions>, Need::nothing, check_functions, true},
    SettingRow{Setting::unicast, differs<&Settings::unicast>, Need::nothing, check_unicast, false,
               differs<&Settings::functions>},
    SettingRow{Setting::multicast, differs<&Settings::multicast>, Need::nothing, check_multicast},
    SettingRow{Setting::vlans, differs<&Settings::vlans>, Need::nothing, check_vlans},
    SettingRow{Setting::vlan_stripping, differs<&Settings::vlan_stripping>, Need::pause},
    SettingRow{Setting::outer_vlan_type, differs<&Settings::outer_vlan_type>, Need::pause, check_outer_type},
    SettingRow{Setting::rss, differs<&Settings::rss>, Need::nothing, check_rss_change, false, rss_depends},
    SettingRow{Setting::rules, differs<&Settings::rules>, Need::nothing, check_rules, false, rx_queues_differ},
    SettingRow{Setting::pools, differs<&Settings::pools>, Need::stop},
    SettingRow{Setting::tx_rates, differs<&Settings::tx_rates, &Settings::pool_tx_rates>, Need::nothing, check_tx_rates,
               false, differs<&Settings::pools>},
    SettingRow{Setting::loopback, differs<&Settings::loopback>, Need::stop},
    SettingRow{Setting::flow_control, differs<&Settings::flow_control>, Need::nothing},
    SettingRow{Setting::link, differs<&Settings::link>, Need::nothing, check_link},
    SettingRow{Setting::phy_enabled, differs<&Settings::phy_enabled>, Need::nothing, nullptr, true},
    SettingRow{Setting::moderation, differs<&Settings::moderation>, Need::nothing, check_moderation},
    SettingRow{Setting::wake, differs<&Settings::wake>, Need::nothing},
    SettingRow{Setting::led, differs<&Settings::led>, Need::nothing, nullptr, true},
    SettingRow{Setting::stamps, differs<&Settings::stamps>, Need::nothing},
    SettingRow{Setting::clock_frequency, differs<&Settings::clock_frequency>, Need::nothing, check_clock, true},
};

constexpr std::array<std::string_view, kSettings> kNames{
    "queues",   "mac",          "mtu",    "promiscuous",    "all_multicast",
    "unicast",  "multicast",    "vlans",  "vlan_stripping", "outer_vlan_type",
    "rules",    "functions",    "rss",    "pools",          "tx_rates",
    "loopback", "flow_control", "link",   "phy_enabled",    "moderation",
    "wake",     "led",          "stamps", "clock_frequency"};

}  // namespace

Result<void> check_vlan(std::string_view port, std::uint16_t vlan) {
  constexpr std::uint16_t kLastVlan = 4094;
  if (vlan >= 1 && vlan <= kLastVlan) return {};
  return fail(ErrorCode::invalid_argument, fmt::format("{}: VLAN {} is outside 1 to 4,094", port, vlan),
              "0 means no VLAN, and 4,095 is reserved (IEEE 802.1Q)");
}

std::uint32_t queues_of_a_pool(const QueuePoolsConfig& pools) noexcept {
  std::uint32_t queues = 0;
  for (const QueuePool& pool : pools.pools) queues = std::max<std::uint32_t>(queues, pool.queues);
  return queues;
}

// Round robin, as in Linux (igb_main.c, igb_setup_mrqc) and DPDK (igb_rxtx.c, igb_rss_configure).
RssConfig effective_rss(const Settings& settings, const PortLimits& limits) {
  RssConfig config = settings.rss.value_or(RssConfig{});
  // The default has types that not every card can hash.
  if (!settings.rss) config.types.bits &= limits.rss_types;
  if (!settings.rss && settings.rx.size() == 1) config.types = {0};
  if (!config.table.empty() || settings.rx.empty()) return config;
  for (std::uint32_t entry = 0; entry < limits.rss_table; ++entry) {
    config.table.push_back(static_cast<std::uint16_t>(entry % choices(settings, limits)));
  }
  return config;
}

Result<void> check_rss(const Settings& settings, const PortInfo& port) {
  if (!settings.rss) return {};
  const RssConfig& config = *settings.rss;
  const PortLimits& limits = port.limits;
  if (!config.table.empty() && config.table.size() != limits.rss_table) {
    return refuse(port.name, fmt::format("the RSS table has {} entries", config.table.size()),
                  fmt::format("give all {} entries, or none to use the queues in turn", limits.rss_table));
  }
  if ((config.types.bits & ~limits.rss_types) != 0) {
    return fail(
        ErrorCode::not_supported,
        fmt::format("{}: the card cannot hash RSS types {:#x}", port.name, config.types.bits & ~limits.rss_types),
        fmt::format("use only types of {:#x} (RssTypes)", limits.rss_types));
  }
  if (config.symmetric && !packet::is_symmetric(config.key)) {
    return refuse(port.name, "the RSS key does not give both directions of a flow the same hash",
                  "use a key that repeats every 16 bits, such as packet::kSymmetricRssKey");
  }
  if (config.types.bits == 0 && queues_of_a_pool(settings.pools) > 1) {
    return refuse(port.name, "RSS is off, but a pool has two queues, between which it chooses",
                  "set RSS with types, or pools of one queue");
  }
  const std::uint32_t queues = choices(settings, limits);
  const auto wrong =
      std::find_if(config.table.begin(), config.table.end(), [=](auto queue) { return queue >= queues; });
  if (wrong == config.table.end()) return {};
  return refuse(
      port.name,
      fmt::format("entry {} of the RSS table is queue {}, and there are {} receive queues",
                  wrong - config.table.begin(), *wrong, queues),
      "name only queues that the port has, or leave the table empty (Settings::rss) before configuring fewer queues");
}

// Virtual functions have the filters of addresses, so the port's pass by their hash: Linux, igb_main.c, igb_set_uta.
std::size_t max_unicast(const Settings& settings, const PortLimits& limits) noexcept {
  return settings.functions.empty() ? limits.max_unicast : limits.max_multicast;
}

Result<void> check_mtu(const PlacedSettings& settings, const PortInfo& port) {
  const PortLimits& limits = port.limits;
  const std::uint32_t mtu = settings.mtu;
  if (mtu < limits.min_mtu || mtu > limits.max_mtu) {
    return refuse(
        port.name, fmt::format("mtu = {} is outside {} to {}", mtu, limits.min_mtu, limits.max_mtu),
        fmt::format(
            "the longest frame of this port is {} bytes with header, VLAN tag and FCS; 1,500 works on any Ethernet",
            wire_bytes(limits.max_mtu)));
  }
  for (std::size_t index = 0; index < settings.queues.rx.size(); ++index) {
    if (auto fits = check_frame_fits(settings, index, port); !fits) return fits;
  }
  return {};
}

Result<void> check_settings(const SettingsChange& change) {
  for (const SettingRow& row : kRows) {
    const bool is_changed = row.differs(change.from, change.to);
    if (is_changed && !change.port.supports.test(row.id))
      return tl::unexpected<Error>(unsupported(row.id, change.port));
    if (is_changed && row.need == Need::stop && change.state == PortState::started) {
      return fail(
          ErrorCode::bad_state,
          fmt::format("{}: {} cannot be changed while the port is started", change.port.name, to_string(row.id)),
          "stop the port, set it, start the port again");
    }
    if (row.check == nullptr || (!is_changed && (row.depends == nullptr || !row.depends(change.from, change.to))))
      continue;
    if (auto valid = row.check(change); !valid) return valid;
  }
  return {};
}

Error unsupported(Setting setting, const PortInfo& port) {
  std::string has;
  for (std::size_t i = 0; i < kSettings; ++i) {
    if (port.supports.test(Setting(i))) has += fmt::format("{}{}", has.empty() ? "" : ", ", kNames[i]);
  }
  const std::string who = port.card.empty() ? port.name : fmt::format("{}: {}", port.name, port.card);
  return {ErrorCode::not_supported, fmt::format("{} has no setting {}", who, to_string(setting)),
          fmt::format("leave it as it is, or use another port; this one has {}", has)};
}

std::string_view to_string(Setting setting) noexcept { return kNames[static_cast<std::size_t>(setting)]; }

bool needs_pause(const Settings& from, const Settings& to) noexcept {
  return std::any_of(kRows.begin(), kRows.end(),
                     [&](const SettingRow& row) { return row.need == Need::pause && row.differs(from, to); });
}

bool reaches_stopped(const Settings& from, const Settings& to) noexcept {
  return std::any_of(kRows.begin(), kRows.end(),
                     [&](const SettingRow& row) { return row.reaches_stopped && row.differs(from, to); });
}

}  // namespace pollux
