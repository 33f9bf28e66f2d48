// SPDX-License-Identifier: BSD-3-Clause
#include "net/config_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "net/frame_size.hpp"
#include "pollux/mem/mempool.hpp"

namespace pollux {
namespace {

Result<void> check_count(const char* name, std::uint16_t count, std::uint16_t max, const PortInfo& port) {
  if (count <= max) return {};
  return refuse(port.name, fmt::format("{} = {} is outside 0 to {}", name, count, max),
                fmt::format("{} has {} of them", port.card, max));
}

Result<void> check_queues(const PortConfig& config, const PortInfo& port) {
  if (auto rx = check_count("rx_queues", config.rx_queues, port.limits.max_rx_queues, port); !rx) return rx;
  if (auto tx = check_count("tx_queues", config.tx_queues, port.limits.max_tx_queues, port); !tx) return tx;
  if (config.rx_queues != 0 || config.tx_queues != 0) return {};
  return refuse(port.name, "rx_queues and tx_queues are both 0", "ask for at least one queue");
}

Result<void> check_ring(const char* name, std::uint32_t size, const PortInfo& port) {
  const PortLimits& limits = port.limits;
  if (std::has_single_bit(size) && size >= limits.min_ring && size <= limits.max_ring) return {};
  return refuse(
      port.name,
      fmt::format("{} = {} is not a power of two from {} to {}", name, size, limits.min_ring, limits.max_ring),
      fmt::format("the nearest is {}", nearest_ring(size, limits)));
}

Result<void> check_burst_mode(const PortConfig& config, const PortInfo& port) {
  if (processor_has(config.burst_mode)) return {};
  return refuse(port.name, fmt::format("this processor cannot run burst_mode = {}", name(config.burst_mode)),
                "use burst_mode = best, which takes one that it has");
}

Result<void> check_buffers(const PortConfig& config, const MempoolOptions& pool, const PortInfo& port) {
  if (usable_buffer_bytes(pool.data_room, port.limits) == 0) {
    return refuse(port.name,
                  fmt::format("a buffer too small for its queue: pool '{}' has data_room = {}, and the card "
                              "counts buffers in units of {}",
                              pool.name, pool.data_room, port.limits.buffer_unit),
                  "create the pool with a data_room of 2,048 (at least 1,024)");
  }
  const std::uint64_t needed = std::uint64_t{config.rx_queues} * config.rx_ring;
  if (!port.limits.rings_hold_buffers || pool.count >= needed) return {};
  return refuse(port.name,
                fmt::format("a pool too small for its rings: pool '{}' has {} mbufs, {} receive rings of {} need {}",
                            pool.name, pool.count, config.rx_queues, config.rx_ring, needed),
                fmt::format("create the pool with more than {} mbufs, or use fewer or smaller rings", needed));
}

// What rings hold, what caches keep for themselves, and what the application has in its hands meanwhile.
MempoolOptions own_pool_for(const PortConfig& config, const PortInfo& port) {
  constexpr std::uint32_t kRxCache = 512, kTxCache = 64, kApplication = 2048;
  return {.count = config.rx_queues * (config.rx_ring + kRxCache) + config.tx_queues * (config.tx_ring + kTxCache) +
                   kApplication,
          .numa_node = port.numa_node,
          .name = port.name};
}

Result<void> check_owner(const MempoolCore& pool, const PortInfo& port, const ContextState& context) {
  if (&pool.context() == &context) return {};
  return refuse(port.name, fmt::format("the pool '{}' belongs to another Context", pool.options().name),
                "create the pool in the port's Context: only then can the port reach it");
}

Result<void> check_cache(const PortConfig& config, const PortInfo& port, const ContextState& context) {
  if (config.cache == nullptr) return {};
  const MempoolCore& pool = config.cache->core()->pool();
  if (config.rx_queues != 0 && config.rx_pool == nullptr) {
    return refuse(port.name, fmt::format("the cache belongs to pool '{}', but rx_pool is not set", pool.options().name),
                  "let rx_pool name the pool that the cache was made from");
  }
  if (config.rx_queues != 0 && &pool != config.rx_pool->core().get()) {
    return refuse(port.name,
                  fmt::format("the cache belongs to pool '{}' and the receive queues to '{}'", pool.options().name,
                              config.rx_pool->options().name),
                  "make the cache from the pool that rx_pool names");
  }
  if (&pool.context() != &context) {
    return refuse(port.name, fmt::format("the cache's pool '{}' belongs to another Context", pool.options().name),
                  "make the cache from a pool of the port's Context");
  }
  return {};
}

}  // namespace

const MempoolOptions& ValidatedConfig::pool_options() const { return pool != nullptr ? pool->options() : *own_pool; }

tl::unexpected<Error> refuse(std::string_view port, std::string what, std::string hint) {
  return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", port, what), std::move(hint));
}

std::uint32_t usable_buffer_bytes(std::uint32_t room, const PortLimits& limits) noexcept {
  return std::min(room, limits.max_buffer) / limits.buffer_unit * limits.buffer_unit;
}

std::uint32_t nearest_ring(std::uint32_t size, const PortLimits& limits) noexcept {
  if (size <= limits.min_ring) return limits.min_ring;
  if (size >= limits.max_ring) return limits.max_ring;
  const std::uint32_t below = std::bit_floor(size);
  const std::uint32_t above = std::bit_ceil(size);
  return size - below < above - size ? below : above;
}

Result<void> check_mtu(std::uint32_t mtu, const ValidatedConfig& config, const PortInfo& port) {
  const PortLimits& limits = port.limits;
  if (mtu < limits.min_mtu || mtu > limits.max_mtu) {
    return refuse(
        port.name, fmt::format("mtu = {} is outside {} to {}", mtu, limits.min_mtu, limits.max_mtu),
        fmt::format("the longest frame here is {} bytes with header, VLAN tag and FCS; 1,500 is what Ethernet "
                    "carries everywhere",
                    wire_bytes(limits.max_mtu)));
  }
  if (config.rx_queues == 0) return {};
  const MempoolOptions& pool = config.pool_options();
  // Of a ring that holds buffers one slot always stays unarmed, so that a full one differs from an empty one.
  const std::uint32_t there = limits.rings_hold_buffers ? config.rx_ring - 1 : pool.count;
  const std::uint64_t room = std::uint64_t{std::min(there, limits.max_rx_segments)} * config.buffer_bytes;
  if (frame_bytes(mtu) <= room) return {};
  if (limits.rings_hold_buffers) {
    return refuse(port.name,
                  fmt::format("mtu = {}: a frame of {} bytes does not fit rx_ring = {} with buffers of {}", mtu,
                              frame_bytes(mtu), config.rx_ring, config.buffer_bytes),
                  "use a larger rx_ring or a pool with a larger data_room");
  }
  return refuse(port.name,
                fmt::format("mtu = {}: a frame of {} bytes does not fit the {} buffers of {} of pool '{}'", mtu,
                            frame_bytes(mtu), pool.count, config.buffer_bytes, pool.name),
                "create the pool with a larger data_room or count");
}

Result<void> check_promiscuous(bool promiscuous, const PortInfo& port) {
  if (!promiscuous || port.limits.promiscuous) return {};
  return fail(ErrorCode::not_supported,
              fmt::format("{}: {} cannot receive frames for any destination", port.name, port.card),
              "leave promiscuous off; a virtual function receives what is sent to its own address");
}

Result<ValidatedConfig> check_config(const PortConfig& config, const PortInfo& port, const ContextState& context) {
  if (auto queues = check_queues(config, port); !queues) return pass_on(std::move(queues));
  if (auto mode = check_burst_mode(config, port); !mode) return pass_on(std::move(mode));
  if (auto can = check_promiscuous(config.promiscuous, port); !can) return pass_on(std::move(can));
  ValidatedConfig valid{.rx_queues = config.rx_queues,
                        .tx_queues = config.tx_queues,
                        .rx_ring = config.rx_ring,
                        .tx_ring = config.tx_ring,
                        .mtu = config.mtu,
                        .promiscuous = config.promiscuous,
                        .all_multicast = config.all_multicast,
                        .burst_mode = config.burst_mode};
  if (config.tx_queues != 0) {
    if (auto ring = check_ring("tx_ring", config.tx_ring, port); !ring) return pass_on(std::move(ring));
  }
  if (config.rx_queues != 0) {
    if (auto ring = check_ring("rx_ring", config.rx_ring, port); !ring) return pass_on(std::move(ring));
    if (config.rx_pool == nullptr) {
      valid.own_pool = own_pool_for(config, port);
    } else {
      valid.pool = config.rx_pool->core();
      if (auto owner = check_owner(*valid.pool, port, context); !owner) return pass_on(std::move(owner));
    }
    if (auto fits = check_buffers(config, valid.pool_options(), port); !fits) return pass_on(std::move(fits));
    valid.buffer_bytes = usable_buffer_bytes(valid.pool_options().data_room, port.limits);
  }
  if (auto cache = check_cache(config, port, context); !cache) return pass_on(std::move(cache));
  if (config.cache != nullptr) valid.cache = config.cache->core();
  if (auto mtu = check_mtu(config.mtu, valid, port); !mtu) return pass_on(std::move(mtu));
  return valid;
}

}  // namespace pollux
