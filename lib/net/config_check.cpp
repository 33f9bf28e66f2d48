// SPDX-License-Identifier: BSD-3-Clause
#include "net/config_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <utility>

#include "mem/mempool_core.hpp"
#include "net/settings_check.hpp"
#include "pollux/mem/mempool.hpp"

namespace pollux {
namespace {

Result<void> check_count(const char* direction, std::size_t count, std::uint16_t max, const PortInfo& port) {
  if (count <= max) return {};
  return refuse(port.name, fmt::format("{} {} queues are outside 0 to {}", count, direction, max),
                fmt::format("{} has {} of them", port.card, max));
}

Result<void> check_queues(const Settings& wanted, const PortInfo& port) {
  if (auto rx = check_count("receive", wanted.rx.size(), port.limits.max_rx_queues, port); !rx) return rx;
  if (auto tx = check_count("transmit", wanted.tx.size(), port.limits.max_tx_queues, port); !tx) return tx;
  if (!wanted.rx.empty() || !wanted.tx.empty()) return {};
  return refuse(port.name, "rx and tx are both empty: the port would have no queue", "ask for at least one queue");
}

// The mbufs that rings and caches hold, and some for the application.
MempoolOptions own_pool_for(const PlacedQueues& config, const PortInfo& port) {
  constexpr std::uint32_t kRxCache = 512, kTxCache = 64, kApplication = 2048;
  std::uint32_t count = kApplication;
  for (const PlacedRxQueue& queue : config.rx) count += queue.pool == nullptr ? queue.ring + kRxCache : 0;
  for (const PlacedTxQueue& queue : config.tx) count += queue.ring + kTxCache;
  return {.count = count, .numa_node = port.numa_node, .name = port.name};
}

Result<void> check_rx_cache(const std::string& prefix, const MempoolCacheCore& cache, const MempoolCore* queues_pool,
                            const PortInfo& port) {
  if (&cache.pool() == queues_pool) return {};
  const std::string& name = cache.pool().options().name;
  if (queues_pool == nullptr) {
    return refuse(port.name, fmt::format("{0}cache belongs to pool '{1}', but {0}pool is not set", prefix, name),
                  fmt::format("set {}pool to the pool of the cache", prefix));
  }
  return refuse(
      port.name,
      fmt::format("{}cache belongs to pool '{}' and the queue to '{}'", prefix, name, queues_pool->options().name),
      fmt::format("create the cache from the pool in {}pool", prefix));
}

// A queue that names no pool has `made`, the one that the port has made, if there is one already.
Result<PlacedRxQueue> check_rx_queue(const std::string& prefix, const RxQueueConfig& config,
                                     const std::shared_ptr<MempoolCore>& made, const PortInfo& port,
                                     const ContextState& context) {
  const std::uint32_t ring = ring_or_default(config.ring, port.limits);
  if (auto valid = check_ring(prefix, ring, port); !valid) return pass_on(std::move(valid));
  PlacedRxQueue queue{.ring = ring, .pool = config.pool ? config.pool.core() : made};
  if (auto settings = check_rx_settings(prefix, config, queue, port, context); !settings) {
    return pass_on(std::move(settings));
  }
  if (queue.pool != nullptr) {
    if (auto owner = check_pool_owner(prefix + "pool", *queue.pool, port, context); !owner)
      return pass_on(std::move(owner));
  }
  if (!config.cache) return queue;
  queue.cache = config.cache.core();
  if (auto cache = check_rx_cache(prefix, *queue.cache, queue.pool.get(), port); !cache) {
    return pass_on(std::move(cache));
  }
  return queue;
}

Result<PlacedTxQueue> check_tx_queue(const std::string& prefix, const TxQueueConfig& config, const PortInfo& port,
                                     const ContextState& context) {
  const std::uint32_t ring = ring_or_default(config.ring, port.limits);
  if (auto valid = check_ring(prefix, ring, port); !valid) return pass_on(std::move(valid));
  if (auto settings = check_tx_settings(prefix, config, port); !settings) return pass_on(std::move(settings));
  PlacedTxQueue queue{.ring = ring, .thresholds = config.thresholds};
  if (!config.cache) return queue;
  const MempoolCore& pool = config.cache.core()->pool();
  if (&pool.context() == &context) {
    queue.cache = config.cache.core();
    return queue;
  }
  return refuse(port.name,
                fmt::format("{}cache: its pool '{}' belongs to another Context", prefix, pool.options().name),
                "create the cache from a pool of the port's Context");
}

Result<void> check_each(const Settings& wanted, const PortInfo& port, const ContextState& context,
                        PlacedQueues& queues) {
  for (const TxQueueConfig& config : wanted.tx) {
    auto queue = check_tx_queue(fmt::format("tx[{}].", queues.tx.size()), config, port, context);
    if (!queue) return pass_on(std::move(queue));
    queues.tx.push_back(*std::move(queue));
  }
  for (const RxQueueConfig& config : wanted.rx) {
    auto queue = check_rx_queue(fmt::format("rx[{}].", queues.rx.size()), config, queues.made_pool, port, context);
    if (!queue) return pass_on(std::move(queue));
    queue->drops = drops_frames(config.drop_enable, wanted.rx.size(), port);
    queues.rx.push_back(*std::move(queue));
  }
  return {};
}

Result<void> check_pool_size(const MempoolOptions& pool, std::uint32_t queues, std::uint64_t needed,
                             const PortInfo& port) {
  if (!port.limits.rings_hold_buffers || pool.count >= needed) return {};
  return refuse(port.name,
                fmt::format("a pool too small for its rings: pool '{}' has {} mbufs, {} receive ring{} need{} {}",
                            pool.name, pool.count, queues, queues == 1 ? "" : "s", queues == 1 ? "s" : "", needed),
                fmt::format("create the pool with more than {} mbufs, or use fewer or smaller rings", needed));
}

// Checks the pool of each queue and stores the bytes used of its buffers.
Result<void> settle_buffers(PlacedQueues& config, const PortInfo& port) {
  for (std::size_t index = 0; index < config.rx.size(); ++index) {
    PlacedRxQueue& queue = config.rx[index];
    const MempoolOptions& pool = config.pool_options(queue);
    queue.buffer_bytes = usable_buffer_bytes(pool.data_room, port.limits);
    if (queue.buffer_bytes == 0) {
      return refuse(port.name,
                    fmt::format("a buffer too small for receive queue {}: pool '{}' has data_room = {}, and the card "
                                "counts buffers in units of {}",
                                index, pool.name, pool.data_room, port.limits.buffer_unit),
                    "create the pool with a data_room of 2,048 (at least 1,024)");
    }
    const MempoolCore* const core = queue.pool.get();
    if (auto fits = check_pool_size(pool, config.queues_of(core), config.descriptors_of(core), port); !fits)
      return fits;
    const MempoolCore* const headers = queue.header_pool.get();
    if (headers == nullptr) continue;
    const MempoolOptions& options = headers->options();
    if (auto fits = check_pool_size(options, config.queues_of(headers), config.descriptors_of(headers), port); !fits)
      return fits;
  }
  return {};
}

}  // namespace

const MempoolOptions& PlacedQueues::pool_options(const PlacedRxQueue& queue) const {
  return queue.pool != nullptr ? queue.pool->options() : *own_pool;
}

std::uint32_t PlacedQueues::queues_of(const MempoolCore* pool) const noexcept {
  std::uint32_t queues = 0;
  for (const PlacedRxQueue& queue : rx) {
    if (queue.pool.get() == pool || (pool != nullptr && queue.header_pool.get() == pool)) ++queues;
  }
  return queues;
}

std::uint64_t PlacedQueues::descriptors_of(const MempoolCore* pool) const noexcept {
  std::uint64_t descriptors = 0;
  for (const PlacedRxQueue& queue : rx) {
    descriptors += queue.pool.get() == pool ? queue.ring : 0;
    descriptors += pool != nullptr && queue.header_pool.get() == pool ? queue.ring : 0;
  }
  return descriptors;
}

tl::unexpected<Error> refuse(std::string_view port, std::string what, std::string hint) {
  return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", port, what), std::move(hint));
}

Result<void> check_index(const char* direction, std::uint16_t queue, std::uint16_t count, const PortInfo& port) {
  if (queue < count) return {};
  return refuse(port.name, fmt::format("there is no {} queue {}", direction, queue),
                fmt::format("the port was configured with {} of them, counted from 0", count));
}

std::uint32_t usable_buffer_bytes(std::uint32_t room, const PortLimits& limits) noexcept {
  return std::min(room, limits.max_buffer) / limits.buffer_unit * limits.buffer_unit;
}

Result<void> check_ring(const std::string& prefix, std::uint32_t size, const PortInfo& port) {
  const PortLimits& limits = port.limits;
  const std::uint32_t nearest = nearest_ring(size, limits);
  if (size == nearest && size != 0) return {};
  const std::string sizes =
      limits.ring_multiple == 0 ? "power of two" : fmt::format("multiple of {}", limits.ring_multiple);
  return refuse(
      port.name,
      fmt::format("{}ring = {} is not a {} from {} to {}", prefix, size, sizes, limits.min_ring, limits.max_ring),
      fmt::format("the nearest is {}", nearest));
}

std::uint32_t ring_or_default(std::uint32_t size, const PortLimits& limits) noexcept {
  constexpr std::uint32_t kDefault = 512;
  return size != 0 ? size : nearest_ring(kDefault, limits);
}

std::uint32_t nearest_ring(std::uint32_t size, const PortLimits& limits) noexcept {
  if (size <= limits.min_ring) return limits.min_ring;
  if (size >= limits.max_ring) return limits.max_ring;
  const std::uint32_t multiple = limits.ring_multiple;
  const std::uint32_t below = multiple == 0 ? std::bit_floor(size) : size / multiple * multiple;
  if (below == size) return size;
  const std::uint32_t above = multiple == 0 ? std::bit_ceil(size) : below + multiple;
  return size - below < above - size ? below : above;
}

namespace {

constexpr std::uint32_t kMinCache = 64;
constexpr std::uint32_t kMaxCache = 512;

}  // namespace

// Large enough that the pool's shared list is seldom used. The caches together hold at most half of the mbufs that the
// rings leave.
std::shared_ptr<MempoolCacheCore> card_receive_cache(const PlacedQueues& config, std::uint32_t queue) {
  const PlacedRxQueue& rx = config.rx[queue];
  if (rx.cache != nullptr) return rx.cache;
  const auto spare = static_cast<std::uint32_t>(rx.pool->options().count - config.descriptors_of(rx.pool.get()));
  return std::make_shared<MempoolCacheCore>(
      rx.pool, std::clamp(spare / (2u * config.queues_of(rx.pool.get())), kMinCache, kMaxCache));
}

// Without a cache, mbufs return to the pool's shared list one by one. Yet a queue of a small pool has no cache, since
// the receive side could not use the mbufs in it. The pool is that of the receive queue with the same index, because a
// forwarder usually sends the frames of receive queue N on transmit queue N.
std::shared_ptr<MempoolCacheCore> card_transmit_cache(const PlacedQueues& config, std::uint32_t queue) {
  constexpr std::uint32_t kMinSpare = 1024;
  if (config.tx[queue].cache != nullptr) return config.tx[queue].cache;
  if (config.rx.empty()) return nullptr;
  const std::shared_ptr<MempoolCore>& pool = config.rx[queue % config.rx_queues()].pool;
  const std::uint64_t spare = pool->options().count - config.descriptors_of(pool.get());
  return spare / config.tx_queues() >= kMinSpare ? std::make_shared<MempoolCacheCore>(pool, kMinCache) : nullptr;
}

Result<PlacedQueues> place_queues(const Settings& wanted, const PortInfo& port, const ContextState& context,
                                  const PlacedQueues* in_force) {
  if (auto queues = check_queues(wanted, port); !queues) return pass_on(std::move(queues));
  PlacedQueues queues;
  if (in_force != nullptr) {
    queues.own_pool = in_force->own_pool;
    queues.made_pool = in_force->made_pool;
  }
  if (auto each = check_each(wanted, port, context, queues); !each) return pass_on(std::move(each));
  if (queues.queues_of(nullptr) != 0) {
    if (in_force != nullptr) {
      return fail(ErrorCode::bad_state, fmt::format("{}: a started port makes no pool", port.name),
                  "stop the port first, or give the queue a pool");
    }
    queues.own_pool = own_pool_for(queues, port);
  }
  if (auto fits = settle_buffers(queues, port); !fits) return pass_on(std::move(fits));
  return queues;
}

}  // namespace pollux
