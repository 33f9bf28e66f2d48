// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/igb/config_check.hpp"

#include <algorithm>
#include <bit>
#include <string>

#include <fmt/format.h>

#include "drivers/igb/port_limits.hpp"
#include "drivers/igb/tx_queue.hpp"
#include "mem/context_state.hpp"
#include "net/config_check.hpp"

namespace pollux::igb {
namespace {

namespace limits = hw::igb;

constexpr std::uint32_t kMaxBufferKib = 127;

Result<void> check_ring(const char* name, std::uint32_t size, std::string_view port) {
  if (std::has_single_bit(size) && size >= limits::kRingMin && size <= limits::kRingMax) return {};
  return refuse(
      port, fmt::format("{} = {} is not a power of two from {} to {}", name, size, limits::kRingMin, limits::kRingMax),
      fmt::format("the nearest is {}", nearest_ring(size)));
}

Result<void> check_pool(const PortConfig& config, const ContextState& context, std::string_view port) {
  if (config.rx_pool == nullptr) {
    return refuse(port, fmt::format("rx_queues = {}, but rx_pool is not set", config.rx_queues),
                  "create a Mempool and point rx_pool at it, or set rx_queues to 0");
  }
  const MempoolCore& pool = *config.rx_pool->core();
  if (&pool.context() != &context) {
    return refuse(port, fmt::format("the pool '{}' belongs to another Context", pool.options().name),
                  "create the pool in the port's Context: only then can the card reach it");
  }
  const std::uint32_t room = pool.options().data_room;
  if (usable_buffer_bytes(room) == 0) {
    return refuse(port,
                  fmt::format("a buffer too small for its queue: pool '{}' has data_room = {}, and the card "
                              "counts buffers in units of {}",
                              pool.options().name, room, limits::kRxBufferUnit),
                  "create the pool with a data_room of 2,048 (at least 1,024)");
  }
  const std::uint64_t needed = std::uint64_t{config.rx_queues} * config.rx_ring;
  if (pool.options().count < needed) {
    return refuse(port,
                  fmt::format("a pool too small for its rings: pool '{}' has {} mbufs, {} receive rings of {} need {}",
                              pool.options().name, pool.options().count, config.rx_queues, config.rx_ring, needed),
                  fmt::format("create the pool with more than {} mbufs, or use fewer or smaller rings", needed));
  }
  return {};
}

}  // namespace

PortLimits port_limits() noexcept {
  return {.max_rx_queues = limits::kRxQueues,
          .max_tx_queues = limits::kTxQueues,
          .min_ring = limits::kRingMin,
          .max_ring = limits::kRingMax,
          .min_mtu = kMinMtu,
          .max_mtu = kMaxMtu,
          .max_tx_segments = TxQueue::kMaxSegments,
          .min_frame = TxQueue::kMinFrame};
}

std::uint32_t usable_buffer_bytes(std::uint32_t room) noexcept {
  return std::min(room / limits::kRxBufferUnit, kMaxBufferKib) * limits::kRxBufferUnit;
}

std::uint32_t nearest_ring(std::uint32_t size) noexcept {
  if (size <= limits::kRingMin) return limits::kRingMin;
  if (size >= limits::kRingMax) return limits::kRingMax;
  const std::uint32_t below = std::bit_floor(size);
  const std::uint32_t above = std::bit_ceil(size);
  return size - below < above - size ? below : above;
}

Result<void> check_mtu(std::uint32_t mtu, const Plan& plan, std::string_view port) {
  if (mtu < kMinMtu || mtu > kMaxMtu) {
    return refuse(
        port, fmt::format("mtu = {} is outside {} to {}", mtu, kMinMtu, kMaxMtu),
        fmt::format("the card's longest frame is {} bytes with header, VLAN tag and CRC", limits::kMaxFrameBytes));
  }
  if (plan.rx_queues == 0) return {};
  // One slot always stays unarmed, so that a full ring differs from an empty one.
  const std::uint64_t room = std::uint64_t{plan.rx_ring - 1} * plan.buffer_bytes;
  if (frame_bytes(mtu) <= room) return {};
  return refuse(port,
                fmt::format("mtu = {}: a frame of {} bytes does not fit rx_ring = {} with buffers of {}", mtu,
                            frame_bytes(mtu), plan.rx_ring, plan.buffer_bytes),
                "use a larger rx_ring or a pool with a larger data_room");
}

Result<Plan> check_config(const PortConfig& config, const ContextState& context, std::string_view port) {
  if (auto queues = check_queues(config, port_limits(), "the 82576", port); !queues) return pass_on(std::move(queues));
  if (auto path = check_burst_path(config, port); !path) return pass_on(std::move(path));
  Plan plan{.rx_queues = config.rx_queues,
            .tx_queues = config.tx_queues,
            .rx_ring = config.rx_ring,
            .tx_ring = config.tx_ring,
            .mtu = config.mtu,
            .promiscuous = config.promiscuous,
            .all_multicast = config.all_multicast,
            .burst_path = config.burst_path};
  if (config.rx_queues != 0) {
    if (auto ring = check_ring("rx_ring", config.rx_ring, port); !ring) return pass_on(std::move(ring));
    if (auto pool = check_pool(config, context, port); !pool) return pass_on(std::move(pool));
    plan.pool = config.rx_pool->core();
    plan.buffer_bytes = usable_buffer_bytes(plan.pool->options().data_room);
  }
  if (config.tx_queues != 0) {
    if (auto ring = check_ring("tx_ring", config.tx_ring, port); !ring) return pass_on(std::move(ring));
  }
  if (auto cache = check_cache(config, context, port); !cache) return pass_on(std::move(cache));
  if (config.cache != nullptr) plan.cache = config.cache->core();
  if (auto mtu = check_mtu(config.mtu, plan, port); !mtu) return pass_on(std::move(mtu));
  return plan;
}

}  // namespace pollux::igb
