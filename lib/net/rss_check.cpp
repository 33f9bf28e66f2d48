// SPDX-License-Identifier: BSD-3-Clause
#include "net/rss_check.hpp"

#include <fmt/format.h>

#include "net/config_check.hpp"

namespace pollux {

Result<void> check_rss_table(const RssConfig& config, std::uint32_t queues, std::string_view port) {
  for (std::size_t entry = 0; entry < config.table.size(); ++entry) {
    if (config.table[entry] < queues) continue;
    return refuse(
        port,
        fmt::format("entry {} of the RSS table is queue {}, and there are {} receive queues", entry,
                    config.table[entry], queues),
        "name only queues that the port has, or leave the table empty (Rss::set_rss) before configuring fewer queues");
  }
  return {};
}

Result<void> check_rss(const RssConfig& config, const RssLimits& limits, std::uint32_t queues, std::string_view port) {
  if (!config.table.empty() && config.table.size() != limits.table_size) {
    return refuse(port, fmt::format("the RSS table has {} entries", config.table.size()),
                  fmt::format("give all {} entries, or none to use the queues in turn", limits.table_size));
  }
  if ((config.types.bits & ~limits.types) != 0) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: the card cannot hash RSS types {:#x}", port, config.types.bits & ~limits.types),
                fmt::format("use only types of {:#x} (RssTypes)", limits.types));
  }
  if (config.symmetric && !packet::is_symmetric(config.key)) {
    return refuse(port, "the RSS key does not give both directions of a flow the same hash",
                  "use a key that repeats every 16 bits, such as packet::kSymmetricRssKey");
  }
  return check_rss_table(config, queues, port);
}

}  // namespace pollux
