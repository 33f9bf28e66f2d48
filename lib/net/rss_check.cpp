// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>

#include "net/config_check.hpp"
#include "net/settings_check.hpp"
#include "pollux/net/packet/toeplitz.hpp"

namespace pollux {
namespace {

// The number of queues that entries of the table may name. A port that is not configured may have all.
std::uint32_t choices(const Settings& settings, const PortLimits& limits) noexcept {
  const std::uint32_t in_pool = queues_of_a_pool(settings.pools);
  if (in_pool > 1) return in_pool;
  return settings.rx.empty() ? limits.max_rx_queues : static_cast<std::uint32_t>(settings.rx.size());
}

}  // namespace

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

}  // namespace pollux
