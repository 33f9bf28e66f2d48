// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/error.hpp"
#include "pollux/net/port_driver.hpp"
#include "pollux/net/settings.hpp"

namespace pollux {

/// The receive queues of the largest pool; 0 without pools.
[[nodiscard]] std::uint32_t queues_of_a_pool(const QueuePoolsConfig& pools) noexcept;

/// RSS as it is in force: what was asked for, with the port's choices for what was left open.
[[nodiscard]] RssConfig effective_rss(const Settings& settings, const PortLimits& limits);

/// Checks RSS for the queues and pools of `settings`. Errors: see Rss::set_rss.
[[nodiscard]] Result<void> check_rss(const Settings& settings, const PortInfo& port);

}  // namespace pollux
