// SPDX-License-Identifier: BSD-3-Clause
#include "net/config_check.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <utility>

#include "mem/mempool_core.hpp"
#include "pollux/mem/mempool.hpp"

namespace pollux {

tl::unexpected<Error> refuse(std::string_view port, std::string what, std::string hint) {
  return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", port, what), std::move(hint));
}

Result<void> check_queues(const PortConfig& config, const PortLimits& limits, std::string_view owner,
                          std::string_view port) {
  const auto check = [&](const char* name, std::uint16_t count, std::uint16_t max) -> Result<void> {
    if (count <= max) return {};
    return refuse(port, fmt::format("{} = {} is outside 0 to {}", name, count, max),
                  fmt::format("{} has {} of them", owner, max));
  };
  if (auto rx = check("rx_queues", config.rx_queues, limits.max_rx_queues); !rx) return rx;
  if (auto tx = check("tx_queues", config.tx_queues, limits.max_tx_queues); !tx) return tx;
  if (config.rx_queues == 0 && config.tx_queues == 0) {
    return refuse(port, "rx_queues and tx_queues are both 0", "ask for at least one queue");
  }
  return {};
}

Result<void> check_burst_path(const PortConfig& config, std::string_view port) {
  if (processor_has(config.burst_path)) return {};
  return refuse(port, fmt::format("this processor cannot run burst_path = {}", name(config.burst_path)),
                "use burst_path = best, which takes one that it has");
}

Result<void> check_cache(const PortConfig& config, const ContextState& context, std::string_view port) {
  if (config.cache == nullptr) return {};
  const MempoolCore& pool = config.cache->core()->pool();
  if (config.rx_queues != 0 && &pool != config.rx_pool->core().get()) {
    return refuse(port,
                  fmt::format("the cache belongs to pool '{}' and the receive queues to '{}'", pool.options().name,
                              config.rx_pool->options().name),
                  "make the cache from the pool that rx_pool names");
  }
  if (&pool.context() != &context) {
    return refuse(port, fmt::format("the cache's pool '{}' belongs to another Context", pool.options().name),
                  "make the cache from a pool of the port's Context");
  }
  return {};
}

}  // namespace pollux
