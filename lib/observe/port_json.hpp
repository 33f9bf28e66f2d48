// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

#include "observe/json.hpp"
#include "observe/port_meters.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/port.hpp"
#include "pollux/net/rss.hpp"
#include "pollux/net/settings.hpp"

/// What the protocol says about a port's values: docs/telemetry.md.
namespace pollux::observe {

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

/// The settings of `port.settings`. A queue whose pool the port has made has the pool null.
[[nodiscard]] Json settings_json(Settings settings);
/// Differs for different settings.
[[nodiscard]] std::string settings_tag(const Settings& settings);

[[nodiscard]] Json flow_rule_json(const FlowRule& rule);

/// Error invalid_argument: names the member that is wrong. Whether the rule makes sense is the port's to say.
[[nodiscard]] Result<FlowRule> parse_flow_rule(const Json& json);

}  // namespace pollux::observe
