// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>

#include "pollux/net/rss.hpp"

namespace pollux {

/// What RSS of a card can do.
struct RssLimits {
  std::uint32_t table_size = 0;  ///< entries
  std::uint32_t types = 0;       ///< bits of RssTypes
};

/// Checks a setting for a port with `queues` receive queues. Errors: invalid_argument, not_supported (see
/// Rss::set_rss).
[[nodiscard]] Result<void> check_rss(const RssConfig& config, const RssLimits& limits, std::uint32_t queues,
                                     std::string_view port);

/// Checks that the table names only queues below `queues`. Error invalid_argument.
[[nodiscard]] Result<void> check_rss_table(const RssConfig& config, std::uint32_t queues, std::string_view port);

}  // namespace pollux
