// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "observe/json.hpp"
#include "observe/port_meters.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/port.hpp"
#include "pollux/net/rss.hpp"

/// What the protocol says about a port's values: docs/telemetry.md.
namespace pollux::observe {

[[nodiscard]] std::string_view name_of(Duplex duplex) noexcept;

[[nodiscard]] Json link_json(const Link& link);
[[nodiscard]] Json modes_json(const LinkModes& modes);
[[nodiscard]] Json details_json(const LinkDetails& details);
[[nodiscard]] Json limits_json(const PortLimits& limits);
[[nodiscard]] Json config_json(const EffectiveConfig& config);
[[nodiscard]] Json stats_json(const Stats& stats);
[[nodiscard]] Json queues_json(const Stats& stats, const EffectiveConfig& config, Port& port);
[[nodiscard]] Json offloads_json(const OffloadLimits& offloads);
[[nodiscard]] Json rss_json(const RssConfig& config, std::uint32_t table_size);
[[nodiscard]] Json flow_control_json(const FlowControlState& state);
[[nodiscard]] Json pool_json(const Mempool& pool);
[[nodiscard]] Json meters_json(const PortMeters::Queues& meters, double cycles_per_second);

/// The types of receive-side scaling by name.
struct RssTypeName {
  RssTypes::Bit bit;
  std::string_view name;
};
inline constexpr std::array kRssTypeNames{
    RssTypeName{RssTypes::ipv4, "ipv4"},
    RssTypeName{RssTypes::tcp_ipv4, "tcp_ipv4"},
    RssTypeName{RssTypes::udp_ipv4, "udp_ipv4"},
    RssTypeName{RssTypes::ipv6, "ipv6"},
    RssTypeName{RssTypes::tcp_ipv6, "tcp_ipv6"},
    RssTypeName{RssTypes::udp_ipv6, "udp_ipv6"},
    RssTypeName{RssTypes::ipv6_ex, "ipv6_ex"},
    RssTypeName{RssTypes::tcp_ipv6_ex, "tcp_ipv6_ex"},
    RssTypeName{RssTypes::udp_ipv6_ex, "udp_ipv6_ex"},
};

}  // namespace pollux::observe
