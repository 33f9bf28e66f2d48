// SPDX-License-Identifier: BSD-3-Clause
#include "net/config_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <deque>
#include <map>
#include <memory>
#include <utility>

#include "mem/mempool_core.hpp"
#include "net/settings_check.hpp"
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

Result<void> check_burst_mode(const PortConfig& config, const PortInfo& port) {
  if (processor_has(config.burst_mode)) return {};
  return refuse(port.name, fmt::format("this processor does not support burst_mode = {}", name(config.burst_mode)),
                "use burst_mode = best, which selects a supported mode");
}

std::uint32_t ring_or_default(std::uint32_t size, const PortInfo& port) {
  constexpr std::uint32_t kDefault = 512;
  return size != 0 ? size : nearest_ring(kDefault, port.limits);
}

// The mbufs that rings and caches hold, and some for the application.
MempoolOptions own_pool_for(const ValidatedConfig& config, const PortInfo& port) {
  constexpr std::uint32_t kRxCache = 512, kTxCache = 64, kApplication = 2048;
  std::uint32_t count = kApplication;
  for (const ValidatedRxQueue& queue : config.rx) count += queue.pool == nullptr ? queue.ring + kRxCache : 0;
  for (const ValidatedTxQueue& queue : config.tx) count += queue.ring + kTxCache;
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

// A configuration without a pool uses `others`, the pool of the other queues.
Result<ValidatedRxQueue> check_rx_queue(const std::string& prefix, const RxQueueConfig& config,
                                        const std::shared_ptr<MempoolCore>& others, const PortInfo& port,
                                        const ContextState& context) {
  const std::uint32_t ring = ring_or_default(config.ring, port);
  if (auto valid = check_ring(prefix, ring, port); !valid) return pass_on(std::move(valid));
  ValidatedRxQueue queue{.ring = ring, .pool = config.pool != nullptr ? config.pool->core() : others};
  if (auto settings = check_rx_settings(prefix, config, queue, port, context); !settings) {
    return pass_on(std::move(settings));
  }
  if (queue.pool != nullptr) {
    if (auto owner = check_pool_owner(prefix + "pool", *queue.pool, port, context); !owner)
      return pass_on(std::move(owner));
  }
  if (config.cache == nullptr) return queue;
  queue.cache = config.cache->core();
  if (auto cache = check_rx_cache(prefix, *queue.cache, queue.pool.get(), port); !cache) {
    return pass_on(std::move(cache));
  }
  return queue;
}

Result<ValidatedTxQueue> check_tx_queue(const std::string& prefix, const TxQueueConfig& config, const PortInfo& port,
                                        const ContextState& context) {
  const std::uint32_t ring = ring_or_default(config.ring, port);
  if (auto valid = check_ring(prefix, ring, port); !valid) return pass_on(std::move(valid));
  if (auto settings = check_tx_settings(prefix, config, port); !settings) return pass_on(std::move(settings));
  ValidatedTxQueue queue{.ring = ring, .thresholds = config.thresholds};
  if (config.cache == nullptr) return queue;
  const MempoolCore& pool = config.cache->core()->pool();
  if (&pool.context() == &context) {
    queue.cache = config.cache->core();
    return queue;
  }
  return refuse(port.name,
                fmt::format("{}cache: its pool '{}' belongs to another Context", prefix, pool.options().name),
                "create the cache from a pool of the port's Context");
}

// Checks that overrides are for existing queues; `count` is the configured number.
template <class Config>
Result<void> check_overrides(const char* direction, const std::map<std::uint16_t, Config>& overrides,
                             std::uint16_t count, const PortInfo& port) {
  if (overrides.empty() || overrides.rbegin()->first < count) return {};
  return refuse(port.name,
                fmt::format("{0}_override[{1}]: there is no such queue with {0}_queues = {2}", direction,
                            overrides.rbegin()->first, count),
                fmt::format("the queues are 0 to {0}_queues - 1", direction));
}

Result<void> check_rx_queues(const PortConfig& config, const PortInfo& port, const ContextState& context,
                             ValidatedConfig& valid) {
  if (auto there = check_overrides("rx", config.rx_override, config.rx_queues, port); !there) return there;
  const auto others = config.rx.pool != nullptr ? config.rx.pool->core() : nullptr;
  for (std::uint16_t index = 0; index < config.rx_queues; ++index) {
    const auto own = config.rx_override.find(index);
    auto queue = own == config.rx_override.end()
                     ? check_rx_queue("rx.", config.rx, others, port, context)
                     : check_rx_queue(fmt::format("rx_override[{}].", index), own->second, others, port, context);
    if (!queue) return pass_on(std::move(queue));
    const auto& wish = own == config.rx_override.end() ? config.rx : own->second;
    queue->drops = drops_frames(wish.drop_enable, config.rx_queues, port);
    valid.rx.push_back(*std::move(queue));
  }
  return {};
}

Result<void> check_tx_queues(const PortConfig& config, const PortInfo& port, const ContextState& context,
                             ValidatedConfig& valid) {
  if (auto there = check_overrides("tx", config.tx_override, config.tx_queues, port); !there) return there;
  for (std::uint16_t index = 0; index < config.tx_queues; ++index) {
    const auto own = config.tx_override.find(index);
    auto queue = own == config.tx_override.end()
                     ? check_tx_queue("tx.", config.tx, port, context)
                     : check_tx_queue(fmt::format("tx_override[{}].", index), own->second, port, context);
    if (!queue) return pass_on(std::move(queue));
    valid.tx.push_back(*std::move(queue));
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
Result<void> settle_buffers(ValidatedConfig& config, const PortInfo& port) {
  for (std::size_t index = 0; index < config.rx.size(); ++index) {
    ValidatedRxQueue& queue = config.rx[index];
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

const MempoolOptions& ValidatedConfig::pool_options(const ValidatedRxQueue& queue) const {
  return queue.pool != nullptr ? queue.pool->options() : *own_pool;
}

std::uint32_t ValidatedConfig::queues_of(const MempoolCore* pool) const noexcept {
  std::uint32_t queues = 0;
  for (const ValidatedRxQueue& queue : rx) {
    if (queue.pool.get() == pool || (pool != nullptr && queue.header_pool.get() == pool)) ++queues;
  }
  return queues;
}

std::uint64_t ValidatedConfig::descriptors_of(const MempoolCore* pool) const noexcept {
  std::uint64_t descriptors = 0;
  for (const ValidatedRxQueue& queue : rx) {
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
std::shared_ptr<MempoolCacheCore> card_receive_cache(const ValidatedConfig& config, std::uint32_t queue) {
  const ValidatedRxQueue& rx = config.rx[queue];
  if (rx.cache != nullptr) return rx.cache;
  const auto spare = static_cast<std::uint32_t>(rx.pool->options().count - config.descriptors_of(rx.pool.get()));
  return std::make_shared<MempoolCacheCore>(
      rx.pool, std::clamp(spare / (2u * config.queues_of(rx.pool.get())), kMinCache, kMaxCache));
}

// Without a cache, mbufs return to the pool's shared list one by one. Yet a queue of a small pool has no cache, since
// the receive side could not use the mbufs in it. The pool is that of the receive queue with the same index, because a
// forwarder usually sends the frames of receive queue N on transmit queue N.
std::shared_ptr<MempoolCacheCore> card_transmit_cache(const ValidatedConfig& config, std::uint32_t queue) {
  constexpr std::uint32_t kMinSpare = 1024;
  if (config.tx[queue].cache != nullptr) return config.tx[queue].cache;
  if (config.rx.empty()) return nullptr;
  const std::shared_ptr<MempoolCore>& pool = config.rx[queue % config.rx_queues()].pool;
  const std::uint64_t spare = pool->options().count - config.descriptors_of(pool.get());
  return spare / config.tx_queues() >= kMinSpare ? std::make_shared<MempoolCacheCore>(pool, kMinCache) : nullptr;
}

Result<PlacedSettings> with_config(const PlacedSettings& current, const PortConfig& config, const PortInfo& port,
                                   const ContextState& context) {
  if (auto queues = check_queues(config, port); !queues) return pass_on(std::move(queues));
  if (auto mode = check_burst_mode(config, port); !mode) return pass_on(std::move(mode));
  if (auto can = check_port_settings(config, port); !can) return pass_on(std::move(can));
  ValidatedConfig valid{.keep_fcs = config.keep_fcs,
                        .keep_bad_frames = config.keep_bad_frames,
                        .count_bytes = config.count_bytes,
                        .packet_buffers = config.packet_buffers,
                        .tx_timeout = config.tx_timeout,
                        .rx_timeout = config.rx_timeout,
                        .burst_mode = config.burst_mode};
  if (auto tx = check_tx_queues(config, port, context, valid); !tx) return pass_on(std::move(tx));
  if (auto rx = check_rx_queues(config, port, context, valid); !rx) return pass_on(std::move(rx));
  if (valid.queues_of(nullptr) != 0) valid.own_pool = own_pool_for(valid, port);
  if (auto fits = settle_buffers(valid, port); !fits) return pass_on(std::move(fits));
  PlacedSettings next = current;
  next.queues = std::move(valid);
  next.mtu = config.mtu;
  next.promiscuous = config.promiscuous;
  next.all_multicast = config.all_multicast;
  if (auto mtu = check_mtu(next, port); !mtu) return pass_on(std::move(mtu));
  return next;
}

Result<PlacedSettings> with_queues_of(const PlacedSettings& wanted, const PortInfo& port, const ContextState& context) {
  const ValidatedConfig& queues = wanted.queues;
  std::deque<Mempool> handles;
  const auto handle = [&](const std::shared_ptr<MempoolCore>& pool) {
    return pool == nullptr || pool == queues.made_pool ? nullptr : &handles.emplace_back(pool);
  };
  PortConfig config{.rx_queues = queues.rx_queues(),
                    .tx_queues = queues.tx_queues(),
                    .mtu = wanted.mtu,
                    .promiscuous = wanted.promiscuous,
                    .all_multicast = wanted.all_multicast,
                    .keep_fcs = queues.keep_fcs,
                    .keep_bad_frames = queues.keep_bad_frames,
                    .count_bytes = queues.count_bytes,
                    .packet_buffers = queues.packet_buffers,
                    .tx_timeout = queues.tx_timeout,
                    .rx_timeout = queues.rx_timeout,
                    .burst_mode = queues.burst_mode};
  const bool chooses = port.limits.drop_enable == DropChoice::any;
  for (const ValidatedRxQueue& queue : queues.rx) {
    config.rx_override[static_cast<std::uint16_t>(config.rx_override.size())] = {
        .pool = handle(queue.pool),
        .ring = queue.ring,
        .copy_break = queue.copy_break,
        .copy_pool = handle(queue.copy_pool),
        .header_pool = handle(queue.header_pool),
        .drop_enable = queue.drops || chooses ? std::optional(queue.drops) : std::nullopt,
        .thresholds = queue.thresholds};
  }
  for (const ValidatedTxQueue& queue : queues.tx) {
    config.tx_override[static_cast<std::uint16_t>(config.tx_override.size())] = {.ring = queue.ring,
                                                                                 .thresholds = queue.thresholds};
  }
  return with_config(wanted, config, port, context);
}

Result<ValidatedConfig> with_rx_queue(const Settings& current, std::uint16_t queue, const RxQueueConfig& config,
                                      const PortInfo& port, const ContextState& context) {
  if (auto there = check_index("receive", queue, current.queues.rx_queues(), port); !there)
    return pass_on(std::move(there));
  auto checked =
      check_rx_queue(fmt::format("receive queue {}: ", queue), config, current.queues.rx[queue].pool, port, context);
  if (!checked) return pass_on(std::move(checked));
  checked->drops = drops_frames(config.drop_enable, current.queues.rx_queues(), port);
  ValidatedConfig next = current.queues;
  next.rx[queue] = *std::move(checked);
  if (auto fits = settle_buffers(next, port); !fits) return pass_on(std::move(fits));
  if (auto fits = check_frame_fits(current, next, queue, port); !fits) return pass_on(std::move(fits));
  return next;
}

Result<ValidatedConfig> with_tx_queue(const Settings& current, std::uint16_t queue, const TxQueueConfig& config,
                                      const PortInfo& port, const ContextState& context) {
  if (auto there = check_index("transmit", queue, current.queues.tx_queues(), port); !there)
    return pass_on(std::move(there));
  auto checked = check_tx_queue(fmt::format("transmit queue {}: ", queue), config, port, context);
  if (!checked) return pass_on(std::move(checked));
  ValidatedConfig next = current.queues;
  next.tx[queue] = *std::move(checked);
  return next;
}

Result<ValidatedConfig> with_ring(const Settings& current, QueueId queue, std::uint32_t descriptors,
                                  const PortInfo& port) {
  const char* const direction = queue.receives() ? "receive" : "transmit";
  const std::uint16_t count = queue.receives() ? current.queues.rx_queues() : current.queues.tx_queues();
  if (auto there = check_index(direction, queue.index, count, port); !there) return pass_on(std::move(there));
  auto ring = check_ring(fmt::format("{} queue {}: ", direction, queue.index), descriptors, port);
  if (!ring) return pass_on(std::move(ring));
  ValidatedConfig next = current.queues;
  (queue.receives() ? next.rx[queue.index].ring : next.tx[queue.index].ring) = descriptors;
  if (auto fits = settle_buffers(next, port); !fits) return pass_on(std::move(fits));
  if (queue.receives()) {
    if (auto fits = check_frame_fits(current, next, queue.index, port); !fits) return pass_on(std::move(fits));
  }
  return next;
}

}  // namespace pollux
