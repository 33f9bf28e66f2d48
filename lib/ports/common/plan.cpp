// SPDX-License-Identifier: BSD-3-Clause
#include "ports/common/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "mem/context_state.hpp"
#include "net/config_check.hpp"

namespace pollux::ports {
namespace {

Result<void> check_ring(const char* name, std::uint32_t size, const PortLimits& limits, std::string_view port) {
  if (std::has_single_bit(size) && size >= limits.min_ring && size <= limits.max_ring) return {};
  return refuse(
      port, fmt::format("{} = {} is not a power of two from {} to {}", name, size, limits.min_ring, limits.max_ring),
      "512 does for most");
}

Result<void> check_pool(const PortConfig& config, const ContextState& context, std::string_view port) {
  if (config.rx_pool == nullptr) {
    return refuse(port, fmt::format("rx_queues = {}, but rx_pool is not set", config.rx_queues),
                  "create a Mempool and point rx_pool at it, or set rx_queues to 0");
  }
  const MempoolCore& pool = *config.rx_pool->core();
  if (&pool.context() != &context) {
    return refuse(port, fmt::format("the pool '{}' belongs to another Context", pool.options().name),
                  "create the pool in the port's Context");
  }
  return {};
}

}  // namespace

Result<void> check_mtu(std::uint32_t mtu, const Plan& plan, const PortLimits& limits, std::string_view port) {
  if (mtu < limits.min_mtu || mtu > limits.max_mtu) {
    return refuse(port, fmt::format("mtu = {} is outside {} to {}", mtu, limits.min_mtu, limits.max_mtu),
                  "1,500 is what Ethernet carries everywhere");
  }
  if (plan.rx_queues == 0) return {};
  constexpr std::uint64_t kMaxSegments = 255;
  const MempoolOptions& pool = plan.pool->options();
  const std::uint64_t room = std::min<std::uint64_t>(kMaxSegments, pool.count) * pool.data_room;
  if (frame_bytes(mtu) <= room) return {};
  return refuse(port,
                fmt::format("mtu = {}: a frame of {} bytes does not fit the {} buffers of {} of pool '{}'", mtu,
                            frame_bytes(mtu), pool.count, pool.data_room, pool.name),
                "create the pool with a larger data_room or count");
}

Result<Plan> check_config(const PortConfig& config, const PortLimits& limits, const ContextState& context,
                          std::string_view port) {
  if (auto queues = check_queues(config, limits, "the port", port); !queues) return pass_on(std::move(queues));
  Plan plan{.rx_queues = config.rx_queues,
            .tx_queues = config.tx_queues,
            .rx_ring = config.rx_ring,
            .tx_ring = config.tx_ring,
            .mtu = config.mtu,
            .promiscuous = config.promiscuous,
            .all_multicast = config.all_multicast};
  if (config.rx_queues != 0) {
    if (auto ring = check_ring("rx_ring", config.rx_ring, limits, port); !ring) return pass_on(std::move(ring));
    if (auto pool = check_pool(config, context, port); !pool) return pass_on(std::move(pool));
    plan.pool = config.rx_pool->core();
  }
  if (config.tx_queues != 0) {
    if (auto ring = check_ring("tx_ring", config.tx_ring, limits, port); !ring) return pass_on(std::move(ring));
  }
  if (auto path = check_burst_path(config, port); !path) return pass_on(std::move(path));
  if (auto cache = check_cache(config, context, port); !cache) return pass_on(std::move(cache));
  if (config.cache != nullptr) plan.cache = config.cache->core();
  if (auto mtu = check_mtu(config.mtu, plan, limits, port); !mtu) return pass_on(std::move(mtu));
  return plan;
}

}  // namespace pollux::ports
