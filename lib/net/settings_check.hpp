// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/net/placed_settings.hpp"
#include "pollux/net/port.hpp"
#include "pollux/net/port_driver.hpp"

/// The rules for the settings of all ports. Those of one driver are in its PortDriver::check.
namespace pollux {

/// The receive queues of the largest pool; 0 without pools.
[[nodiscard]] std::uint32_t queues_of_a_pool(const QueuePoolsConfig& pools) noexcept;

/// Checks RSS for the queues and pools of `settings`. Errors: see RssConfig.
[[nodiscard]] Result<void> check_rss(const Settings& settings, const PortInfo& port);

/// A change of a port's settings.
struct SettingsChange {
  const PlacedSettings& from;
  const PlacedSettings& to;
  const PortInfo& port;
  PortState state;
};

/// Checks that RSS is not turned on or off while the port is started, and what `check_rss` does. Error bad_state.
[[nodiscard]] Result<void> check_rss_change(const SettingsChange& change);
/// Checks Settings::packet_buffers. Error invalid_argument.
[[nodiscard]] Result<void> check_packet_buffers(const SettingsChange& change);

/// `vlan`: 1 to 4,094. `port` is its name in the error. Error invalid_argument.
[[nodiscard]] Result<void> check_vlan(std::string_view port, std::uint16_t vlan);

/// See Settings::unicast.
[[nodiscard]] std::size_t max_unicast(const Settings& settings, const PortLimits& limits) noexcept;

/// Whether members differ for which the queues are set up anew, or one of them restarts.
[[nodiscard]] bool queues_differ(const Settings& one, const Settings& other);
/// Gives `to` these members of `from`, and its queues.
void keep_queues(PlacedSettings& to, const PlacedSettings& from);

/// Checks that the port has all that differs, and that it can change in this state. Errors name the setting:
/// not_supported, bad_state.
[[nodiscard]] Result<void> check_changeable(const SettingsChange& change);

/// Checks all of `change.to` that differs but the queues. Error invalid_argument names the rule.
[[nodiscard]] Result<void> check_settings(const SettingsChange& change);

/// Checks that the MTU is within the port's limits and that the frames that may arrive fit the buffers of the queues,
/// or of one of them. Error invalid_argument.
[[nodiscard]] Result<void> check_mtu(const PlacedSettings& settings, const PortInfo& port);
[[nodiscard]] Result<void> check_frame_fits(const PlacedSettings& settings, std::size_t index, const PortInfo& port);

/// Error not_supported: the port has no such setting. It names those that it has.
[[nodiscard]] Error unsupported(Setting setting, const PortInfo& port);

/// Whether a started port pauses its queues for the change (PortDriver::pause).
[[nodiscard]] bool needs_pause(const Settings& from, const Settings& to) noexcept;
/// Whether the change concerns the card of a port that is open and not started, too.
[[nodiscard]] bool reaches_stopped(const Settings& from, const Settings& to) noexcept;

}  // namespace pollux
