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

/// What a started port needs for a change of a setting.
enum class Need : std::uint8_t {
  nothing,  ///< it takes effect at once
  pause,    ///< the queues pause meanwhile
  stop,     ///< it is refused: the port has to be stopped first
  queues,   ///< the same, and then all queues are set up anew
};

using Differs = bool(const Settings& from, const Settings& to);

struct SettingRow {
  Setting id;
  Differs* differs;
  void (*copy)(Settings& to, const Settings& from);
  Need need;
  Result<void> (*check)(const SettingsChange& change) = nullptr;  ///< of a value that differs
  bool reaches_stopped = false;  ///< it concerns the card of a port that is not started, too
  Differs* depends = nullptr;    ///< `check` is needed for this difference, too
};

Result<void> check_timeout(const SettingsChange& change, std::string_view name, Duration timeout) {
  constexpr Duration kMin = std::chrono::milliseconds(100);
  constexpr Duration kMax = std::chrono::hours(1);
  if (timeout == Duration(0) || (timeout >= kMin && timeout <= kMax)) return {};
  return refuse(change.port.name,
                fmt::format("{} = {} ms is neither 0 nor from 100 to 3,600,000 ms", name,
                            std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count()),
                "0 turns the watchdog off");
}

Result<void> check_burst_mode(const SettingsChange& change) {
  const BurstMode mode = change.to.burst_mode;
  if (processor_has(mode)) return {};
  return refuse(change.port.name, fmt::format("this processor does not support burst_mode = {}", name(mode)),
                "use burst_mode = best, which selects a supported mode");
}

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

template <auto Member>
bool differs(const Settings& from, const Settings& to) {
  return from.*Member != to.*Member;
}

bool rx_queues_differ(const Settings& from, const Settings& to) { return from.rx.size() != to.rx.size(); }

bool rss_depends(const Settings& from, const Settings& to) {
  return from.pools != to.pools || rx_queues_differ(from, to);
}

bool number_of_functions_differs(const Settings& from, const Settings& to) {
  return from.functions.size() != to.functions.size();
}

bool tx_queues_differ(const Settings& from, const Settings& to) { return from.tx.size() != to.tx.size(); }

template <auto Member>
void copy(Settings& to, const Settings& from) {
  to.*Member = from.*Member;
}

template <auto Member>
constexpr SettingRow row(Setting id, Need need, Result<void> (*check)(const SettingsChange&) = nullptr,
                         bool reaches_stopped = false, Differs* depends = nullptr) {
  return {id, differs<Member>, copy<Member>, need, check, reaches_stopped, depends};
}

// The options of a single queue are not here: of a started port that queue alone restarts.
constexpr std::array kRows{
    SettingRow{Setting::rx, rx_queues_differ, copy<&Settings::rx>, Need::queues},
    SettingRow{Setting::tx, tx_queues_differ, copy<&Settings::tx>, Need::queues},
    row<&Settings::keep_fcs>(Setting::keep_fcs, Need::queues),
    row<&Settings::keep_bad_frames>(Setting::keep_bad_frames, Need::queues),
    row<&Settings::count_bytes>(Setting::count_bytes, Need::queues),
    row<&Settings::packet_buffers>(Setting::packet_buffers, Need::queues, check_packet_buffers),
    row<&Settings::tx_timeout>(Setting::tx_timeout, Need::queues,
                               [](const auto& c) { return check_timeout(c, "tx_timeout", c.to.tx_timeout); }),
    row<&Settings::rx_timeout>(Setting::rx_timeout, Need::queues,
                               [](const auto& c) { return check_timeout(c, "rx_timeout", c.to.rx_timeout); }),
    row<&Settings::burst_mode>(Setting::burst_mode, Need::queues, check_burst_mode),
    row<&Settings::mac>(Setting::mac, Need::nothing, check_mac),
    row<&Settings::mtu>(Setting::mtu, Need::nothing, [](const auto& c) { return check_mtu(c.to, c.port); }),
    row<&Settings::promiscuous>(Setting::promiscuous, Need::nothing),
    row<&Settings::all_multicast>(Setting::all_multicast, Need::nothing),
    SettingRow{Setting::functions, number_of_functions_differs, nullptr, Need::stop, nullptr, true},
    row<&Settings::functions>(Setting::functions, Need::nothing, check_functions, true),
    row<&Settings::unicast>(Setting::unicast, Need::nothing, check_unicast, false, differs<&Settings::functions>),
    row<&Settings::multicast>(Setting::multicast, Need::nothing, check_multicast),
    row<&Settings::vlans>(Setting::vlans, Need::nothing, check_vlans),
    row<&Settings::vlan_stripping>(Setting::vlan_stripping, Need::pause),
    row<&Settings::outer_vlan_type>(Setting::outer_vlan_type, Need::pause, check_outer_type),
    row<&Settings::rss>(Setting::rss, Need::nothing, check_rss_change, false, rss_depends),
    row<&Settings::rules>(Setting::rules, Need::nothing, check_rules, false, rx_queues_differ),
    row<&Settings::pools>(Setting::pools, Need::stop),
    row<&Settings::tx_rates>(Setting::tx_rates, Need::nothing, check_tx_rates),
    row<&Settings::pool_tx_rates>(Setting::pool_tx_rates, Need::nothing, check_tx_rates, false,
                                  differs<&Settings::pools>),
    row<&Settings::loopback>(Setting::loopback, Need::stop),
    row<&Settings::flow_control>(Setting::flow_control, Need::nothing),
    row<&Settings::link>(Setting::link, Need::nothing, check_link),
    row<&Settings::phy_enabled>(Setting::phy_enabled, Need::nothing, nullptr, true),
    row<&Settings::moderation>(Setting::moderation, Need::nothing, check_moderation),
    row<&Settings::wake>(Setting::wake, Need::nothing),
    row<&Settings::led>(Setting::led, Need::nothing, nullptr, true),
    row<&Settings::stamps>(Setting::stamps, Need::nothing),
    row<&Settings::clock_frequency>(Setting::clock_frequency, Need::nothing, check_clock, true),
};

constexpr bool has_row(std::size_t setting) {
  return std::ranges::any_of(kRows, [=](const SettingRow& row) { return row.id == Setting(setting); });
}
constexpr bool all_have_rows() {
  for (std::size_t setting = 0; setting < kSettings; ++setting) {
    if (!has_row(setting)) return false;
  }
  return true;
}
static_assert(all_have_rows(), "without a row each port would take the setting, and ignore it");

}  // namespace

Result<void> check_vlan(std::string_view port, std::uint16_t vlan) {
  constexpr std::uint16_t kLastVlan = 4094;
  if (vlan >= 1 && vlan <= kLastVlan) return {};
  return fail(ErrorCode::invalid_argument, fmt::format("{}: VLAN {} is outside 1 to 4,094", port, vlan),
              "0 means no VLAN, and 4,095 is reserved (IEEE 802.1Q)");
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

bool queues_differ(const Settings& one, const Settings& other) {
  return one.rx != other.rx || one.tx != other.tx || std::ranges::any_of(kRows, [&](const SettingRow& row) {
           return row.need == Need::queues && row.differs(one, other);
         });
}

void keep_queues(PlacedSettings& to, const PlacedSettings& from) {
  for (const SettingRow& row : kRows) {
    if (row.need == Need::queues) row.copy(to, from);
  }
  to.queues = from.queues;
}

Result<void> check_changeable(const SettingsChange& change) {
  for (const SettingRow& row : kRows) {
    if (!row.differs(change.from, change.to)) continue;
    if (!change.port.supports.test(row.id)) return tl::unexpected<Error>(unsupported(row.id, change.port));
    const bool needs_stop = row.need == Need::stop || row.need == Need::queues;
    if (!needs_stop || change.state != PortState::started) continue;
    const bool is_number = row.id == Setting::rx || row.id == Setting::tx;
    return fail(ErrorCode::bad_state,
                fmt::format("{}: {}{} cannot be changed while the port is started", change.port.name,
                            is_number ? "the number of elements of " : "", to_string(row.id)),
                "stop the port, set it, start the port again");
  }
  return {};
}

Result<void> check_settings(const SettingsChange& change) {
  for (const SettingRow& row : kRows) {
    const bool is_concerned =
        row.differs(change.from, change.to) || (row.depends != nullptr && row.depends(change.from, change.to));
    if (row.check == nullptr || !is_concerned) continue;
    if (auto valid = row.check(change); !valid) return valid;
  }
  return {};
}

Error unsupported(Setting setting, const PortInfo& port) {
  std::string has;
  for (std::size_t i = 0; i < kSettings; ++i) {
    if (port.supports.test(Setting(i))) has += fmt::format("{}{}", has.empty() ? "" : ", ", to_string(Setting(i)));
  }
  const std::string who = port.card.empty() ? port.name : fmt::format("{} ({})", port.name, port.card);
  return {ErrorCode::not_supported, fmt::format("{} has no setting {}", who, to_string(setting)),
          fmt::format("leave it as it is, or use another port; this one has {}", has)};
}

bool needs_pause(const Settings& from, const Settings& to) noexcept {
  return std::any_of(kRows.begin(), kRows.end(),
                     [&](const SettingRow& row) { return row.need == Need::pause && row.differs(from, to); });
}

bool reaches_stopped(const Settings& from, const Settings& to) noexcept {
  return std::any_of(kRows.begin(), kRows.end(),
                     [&](const SettingRow& row) { return row.reaches_stopped && row.differs(from, to); });
}

}  // namespace pollux
