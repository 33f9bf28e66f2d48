// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

#include "net/json/json.hpp"
#include "observe/port_meters.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/port.hpp"
#include "pollux/net/rss.hpp"
#include "pollux/net/settings.hpp"
#include "pollux/net/stats.hpp"

/// What the protocol says about a port's values: docs/telemetry.md.
namespace pollux::observe {

using json::Json;

[[nodiscard]] std::string_view name_of(Duplex duplex) noexcept;

[[nodiscard]] Json link_json(const Link& link);
[[nodiscard]] Json details_json(const LinkDetails& details);
/// The names of the settings, as a list.
[[nodiscard]] Json setting_names(const SettingSet& settings);
[[nodiscard]] Json limits_json(const PortLimits& limits);
[[nodiscard]] Json stats_json(const Stats& stats);
[[nodiscard]] Json queues_json(const Stats& stats, const EffectiveConfig& config, Port& port);
[[nodiscard]] Json offloads_json(const OffloadLimits& offloads);
[[nodiscard]] Json rss_json(RssConfig config, std::uint32_t table_size);
[[nodiscard]] Json flow_control_json(FlowControlState state);
[[nodiscard]] Json pool_json(const Mempool& pool);
[[nodiscard]] Json meters_json(const PortMeters::Queues& meters, double cycles_per_second);

/// Differs for different settings.
[[nodiscard]] std::string settings_tag(const Settings& settings);

}  // namespace pollux::observe
