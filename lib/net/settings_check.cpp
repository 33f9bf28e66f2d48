// SPDX-License-Identifier: BSD-3-Clause
#include "net/settings_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "net/config_check.hpp"
#include "net/port_identity.hpp"
#include "pollux/net/frame_filters.hpp"

namespace pollux {
namespace {

/// What a started port needs for a change of a setting.
enum class Need : std::uint8_t {
  nothing,  ///< it takes effect at once
  pause,    ///< the queues pause meanwhile
};

/// A setting.
struct Setting {
  bool (*differs)(const Settings& from, const Settings& to);
  Need need;
  Result<void> (*check)(const SettingsChange& change);  ///< of a value that differs
};

Result<void> check_nothing(const SettingsChange&) { return {}; }

Result<void> check_mac(const SettingsChange& change) {
  if (!change.to.mac || is_station_address(*change.to.mac)) return {};
  return refuse(change.port.name, fmt::format("{} cannot be a port's address", to_string(*change.to.mac)),
                "use an address that is not all zero and whose first byte is even");
}

Result<void> check_promiscuous(const SettingsChange& change) {
  if (!change.to.promiscuous || change.port.limits.promiscuous) return {};
  return fail(ErrorCode::not_supported,
              fmt::format("{}: {} cannot receive frames for any destination", change.port.name, change.port.card),
              "leave promiscuous off; a virtual function receives what is sent to its own address");
}

Result<void> check_outer_type(const SettingsChange& change) {
  return change.to.outer_vlan_type ? check_outer_vlan_type(change.port.name, *change.to.outer_vlan_type)
                                   : Result<void>();
}

template <auto Member>
bool differs(const Settings& from, const Settings& to) {
  return from.*Member != to.*Member;
}

constexpr std::array kSettings{
    Setting{differs<&Settings::mac>, Need::nothing, check_mac},
    Setting{differs<&Settings::mtu>, Need::nothing, [](const SettingsChange& c) { return check_mtu(c.to, c.port); }},
    Setting{differs<&Settings::promiscuous>, Need::nothing, check_promiscuous},
    Setting{differs<&Settings::all_multicast>, Need::nothing, check_nothing},
    Setting{differs<&Settings::vlans>, Need::nothing, check_nothing},
    Setting{differs<&Settings::vlan_stripping>, Need::pause, check_nothing},
    Setting{differs<&Settings::outer_vlan_type>, Need::pause, check_outer_type},
    Setting{differs<&Settings::flow_control>, Need::nothing, check_nothing},
};

}  // namespace

Result<void> check_settings(const SettingsChange& change) {
  for (const Setting& setting : kSettings) {
    if (!setting.differs(change.from, change.to)) continue;
    if (auto valid = setting.check(change); !valid) return valid;
  }
  return {};
}

bool needs_pause(const Settings& from, const Settings& to) noexcept {
  return std::any_of(kSettings.begin(), kSettings.end(),
                     [&](const Setting& setting) { return setting.need == Need::pause && setting.differs(from, to); });
}

}  // namespace pollux
