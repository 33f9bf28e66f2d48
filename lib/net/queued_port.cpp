// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/queued_port.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "mem/context_state.hpp"
#include "mem/mempool_core.hpp"
#include "net/frame_size.hpp"
#include "net/stats.hpp"

namespace pollux {
namespace {

/// The reasons of TxQueueDriver::reject.
constexpr std::array<TxDrop, 8> kCommonTxDrops{&TxDrops::too_short,         &TxDrops::too_long,
                                               &TxDrops::too_many_segments, &TxDrops::bad_segment,
                                               &TxDrops::unreachable,       &TxDrops::unsupported_offload,
                                               &TxDrops::bad_offload,       &TxDrops::unfit_headers};

// The configured cache of a receive queue, or a new one. A new cache has 256 mbufs, or fewer if the pool is small.
std::shared_ptr<MempoolCacheCore> receive_cache(const PlacedQueues& config, std::uint16_t queue) {
  constexpr std::uint32_t kCacheSize = 256;
  const PlacedRxQueue& rx = config.rx[queue];
  if (rx.cache != nullptr) return rx.cache;
  const std::uint32_t share = rx.pool->options().count / (4U * config.queues_of(rx.pool.get()));
  return std::make_shared<MempoolCacheCore>(rx.pool, std::clamp(share, 1U, kCacheSize));
}

template <class Drops, class Why>
void add_drops(std::vector<Counter>& counters, const Drops& names, const auto& sum, std::span<const Why> listed) {
  for (const auto& [why, name] : names) {
    if (sum.*why != 0 || std::find(listed.begin(), listed.end(), why) != listed.end())
      counters.push_back({std::string(name), sum.*why});
  }
}

static_assert(RxFilter::kHeaderBytes == frame_bytes(0));

}  // namespace

QueuedPort::QueuedPort(std::shared_ptr<ContextState> context, PortInfo info, Drops drops)
    : context_(std::move(context)), info_(std::move(info)), drops_(drops) {}

void QueuedPort::add(RxQueueDriver& queue) {
  rx_.push_back(&queue);
  queues_.rx.push_back(&queue);
}

void QueuedPort::add(TxQueueDriver& queue) {
  tx_.push_back(&queue);
  queues_.tx.push_back(&queue);
}

Result<void> QueuedPort::configure(const PlacedSettings& settings) {
  const PlacedQueues& config = settings.queues;
  std::vector<std::shared_ptr<MempoolCacheCore>> caches;
  for (std::uint16_t queue = 0; queue < config.rx_queues(); ++queue) caches.push_back(receive_cache(config, queue));
  QueuedPort::retire();
  use_queues(config);
  for (std::uint16_t queue = 0; queue < queues_.rx_count; ++queue) {
    cache_ = std::move(caches[queue]);
    set_up({QueueDirection::receive, queue});
  }
  for (std::uint16_t queue = 0; queue < queues_.tx_count; ++queue) set_up({QueueDirection::transmit, queue});
  return {};
}

void QueuedPort::use_queues(const PlacedQueues& config) noexcept {
  queues_.rx_count = config.rx_queues();
  queues_.tx_count = config.tx_queues();
}

void QueuedPort::set_up(QueueId queue) noexcept {
  if (queue.receives()) {
    rx_[queue.index]->set_up(config().rx[queue.index].pool, std::move(cache_), info_.index);
  } else {
    tx_[queue.index]->set_up({.min_frame = info_.limits.min_frame,
                              .max_frame = frame_bytes(info_.limits.max_mtu),
                              .offloads = info_.offloads.tx_flags},
                             config().tx[queue.index].cache, context_);
  }
}

// Releases the caches of the queues, even if the application still refers to a queue.
void QueuedPort::retire() noexcept {
  std::for_each_n(rx_.begin(), queues_.rx_count.load(), [](RxQueueDriver* queue) { queue->retire(); });
  std::for_each_n(tx_.begin(), queues_.tx_count.load(), [](TxQueueDriver* queue) { queue->retire(); });
  use_queues({});
}

void QueuedPort::open_queues() noexcept {
  std::for_each_n(rx_.begin(), queues_.rx_count.load(), [](RxQueueDriver* queue) { queue->open(); });
  std::for_each_n(tx_.begin(), queues_.tx_count.load(), [](TxQueueDriver* queue) { queue->open(); });
}

Result<void> QueuedPort::close_queues(Duration limit) {
  Result<void> result;
  const auto close_one = [&](auto* queue) {
    if (auto closed = close_result(queue->close(context_->clock(), limit)); !closed) result = std::move(closed);
  };
  std::for_each_n(rx_.begin(), queues_.rx_count.load(), close_one);
  std::for_each_n(tx_.begin(), queues_.tx_count.load(), close_one);
  return result;
}

// `closed` is an error if a thread did not leave its burst in time. Adds the port's name and a hint to that error.
Result<void> QueuedPort::close_result(Result<void> closed) const {
  if (closed) return closed;
  return fail(closed.error().code, fmt::format("{}: {}", info_.name, closed.error().what),
              "stop polling, then try again");
}

Result<void> QueuedPort::prepare(QueueId queue, const PlacedSettings& next, bool /*running*/) {
  if (queue.receives()) cache_ = receive_cache(next.queues, queue.index);
  return {};
}

Result<void> QueuedPort::close_queue(QueueId queue, Duration limit) {
  Clock& clock = context_->clock();
  return close_result(queue.receives() ? rx_[queue.index]->close(clock, limit) : tx_[queue.index]->close(clock, limit));
}

// Frames that wait for a receive queue are not dropped.
void QueuedPort::exchange(QueueId queue) noexcept {
  set_up(queue);
  discard();
}

void QueuedPort::open_queue(QueueId queue) noexcept {
  if (queue.receives()) {
    rx_[queue.index]->open();
  } else {
    tx_[queue.index]->open();
  }
}

Stats QueuedPort::stats() {
  Stats stats;
  RxDrops rx_drops;
  for (std::size_t i = 0; i < rx_.size(); ++i) {
    const RxDrops drops = rx_[i]->drops();
    const RxArrivals arrivals = rx_[i]->arrivals();
    const std::uint64_t packets = rx_[i]->packets();
    for (const auto& [why, name] : kRxDrops) rx_drops.*why += drops.*why;
    stats.rx_burst_packets += packets;
    stats.rx_packets += arrivals.packets;
    stats.rx_bytes += arrivals.bytes;
    stats.multicast += arrivals.multicast;
    stats.rx_errors += arrivals.errors;
    put_if_used(stats.rx_queues, i, queues_.rx_count,
                {.packets = packets, .drops = drops.sum(), .bytes = rx_[i]->bytes()});
  }
  TxDrops tx_drops;
  for (std::size_t i = 0; i < tx_.size(); ++i) {
    const TxDrops drops = tx_[i]->drops();
    const TxSent sent = tx_[i]->sent();
    const std::uint64_t packets = tx_[i]->packets();
    for (const auto& [why, name] : kTxDrops) tx_drops.*why += drops.*why;
    stats.tx_burst_packets += packets;
    stats.tx_packets += sent.packets;
    stats.tx_bytes += sent.bytes;
    put_if_used(stats.tx_queues, i, queues_.tx_count,
                {.packets = packets, .drops = drops.sum(), .bytes = tx_[i]->bytes()});
  }
  std::vector<TxDrop> listed(kCommonTxDrops.begin(), kCommonTxDrops.end());
  listed.insert(listed.end(), drops_.tx.begin(), drops_.tx.end());
  add_drops(stats.drops, kRxDrops, rx_drops, drops_.rx);
  add_drops(stats.drops, kTxDrops, tx_drops, std::span<const TxDrop>(listed));
  return stats;
}

}  // namespace pollux
