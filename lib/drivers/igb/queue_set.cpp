// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/igb/queue_set.hpp"

#include <algorithm>
#include <utility>

#include "drivers/igb/port_limits.hpp"

namespace pollux::igb {
namespace {

constexpr std::uint32_t kMinCache = 64;
constexpr std::uint32_t kMaxCache = 512;

// Large enough that the pool's shared list is seldom asked, small enough that many queues do not keep the pool to
// themselves: at most half of what the rings leave.
std::uint32_t cache_capacity(const Plan& plan) {
  const std::uint32_t in_rings = plan.rx_queues * plan.rx_ring;
  const std::uint32_t spare = plan.pool->options().count - in_rings;
  return std::clamp(spare / (2u * plan.rx_queues), kMinCache, kMaxCache);
}

// Without a cache every frame would go back to its pool's shared list one by one. A small pool does without: what lies
// in a transmit queue's stock is not there for the receive side.
std::shared_ptr<MempoolCacheCore> transmit_cache(const Plan& plan) {
  constexpr std::uint32_t kPlenty = 1024;
  if (plan.pool == nullptr || plan.tx_queues == 0) return nullptr;
  const std::uint32_t spare = plan.pool->options().count - plan.rx_queues * plan.rx_ring;
  return spare / plan.tx_queues >= kPlenty ? std::make_shared<MempoolCacheCore>(plan.pool, kMinCache) : nullptr;
}

RxDrops& operator+=(RxDrops& sum, const RxDrops& more) {
  sum.bad_length += more.bad_length;
  sum.error += more.error;
  sum.pool_empty += more.pool_empty;
  sum.too_many_segments += more.too_many_segments;
  sum.stopped += more.stopped;
  return sum;
}

TxDrops& operator+=(TxDrops& sum, const TxDrops& more) {
  sum.too_short += more.too_short;
  sum.too_long += more.too_long;
  sum.too_many_segments += more.too_many_segments;
  sum.bad_segment += more.bad_segment;
  sum.unreachable += more.unreachable;
  sum.unsupported_offload += more.unsupported_offload;
  sum.stopped += more.stopped;
  return sum;
}

}  // namespace

void QueueSet::setup(const Card& card, const Plan& plan, const RingMemory& rings, std::uint16_t port) {
  for (std::uint32_t queue = 0; queue < plan.rx_queues; ++queue) {
    auto cache =
        plan.cache != nullptr ? plan.cache : std::make_shared<MempoolCacheCore>(plan.pool, cache_capacity(plan));
    rx_[queue].setup({.ring = rings.rx(queue).descriptors,
                      .size = plan.rx_ring,
                      .buffer_bytes = plan.buffer_bytes,
                      .tail = card.regs.doorbell<reg::RDT>(queue),
                      .registers = card.regs.bar(),
                      .head_offset = reg::RDH::offset(queue),
                      .pool = plan.pool,
                      .cache = std::move(cache),
                      .port = port,
                      .path = plan.burst_path});
  }
  for (std::uint32_t queue = 0; queue < plan.tx_queues; ++queue) {
    // The MTU bounds what is received. What is sent is bounded by the card alone.
    tx_[queue].setup({.ring = rings.tx(queue).descriptors,
                      .size = plan.tx_ring,
                      .max_frame = frame_bytes(kMaxMtu),
                      .tail = card.regs.doorbell<reg::TDT>(queue),
                      .cache = plan.cache != nullptr ? plan.cache : transmit_cache(plan),
                      .context = card.context,
                      .path = plan.burst_path});
  }
  // Queues that are there no more let theirs go like those that are set up anew.
  std::for_each(rx_.begin() + plan.rx_queues, rx_.end(), [](RxQueue& queue) { queue.end_forwarding(); });
  std::for_each(tx_.begin() + plan.tx_queues, tx_.end(), [](TxQueue& queue) { queue.end_forwarding(); });
  rx_count_ = plan.rx_queues;
  tx_count_ = plan.tx_queues;
}

Result<void> QueueSet::fill() {
  for (std::uint32_t queue = 0; queue < rx_count_; ++queue) {
    if (auto filled = rx_[queue].fill(); !filled) {
      for (std::uint32_t undo = 0; undo < queue; ++undo) rx_[undo].drain();
      return filled;
    }
  }
  for (std::uint32_t queue = 0; queue < tx_count_; ++queue) tx_[queue].clear();
  for (std::uint32_t queue = 0; queue < tx_count_; ++queue) {
    if (auto filled = tx_[queue].fill(); !filled) {
      drain();
      return filled;
    }
  }
  return {};
}

void QueueSet::open() noexcept {
  for (std::uint32_t queue = 0; queue < rx_count_; ++queue) rx_[queue].open();
  for (std::uint32_t queue = 0; queue < tx_count_; ++queue) tx_[queue].open();
}

Result<void> QueueSet::close(Clock& clock, Duration limit) {
  Result<void> result;
  const auto close_one = [&](auto& queue) {
    if (auto closed = queue.close(clock, limit); !closed) result = std::move(closed);
  };
  std::for_each_n(rx_.begin(), rx_count_, close_one);
  std::for_each_n(tx_.begin(), tx_count_, close_one);
  return result;
}

bool QueueSet::transmit_settled() noexcept {
  bool settled = true;
  for (std::uint32_t queue = 0; queue < tx_count_; ++queue) settled = tx_[queue].settle() == 0 && settled;
  return settled;
}

void QueueSet::drain() noexcept {
  for (std::uint32_t queue = 0; queue < rx_count_; ++queue) rx_[queue].drain();
  for (std::uint32_t queue = 0; queue < tx_count_; ++queue) tx_[queue].drain();
}

void QueueSet::count(Stats& stats) const {
  RxDrops rx;
  TxDrops tx;
  for (const RxQueue& queue : rx_) {
    stats.rx_burst_packets += queue.packets();
    rx += queue.drops();
  }
  for (const TxQueue& queue : tx_) {
    stats.tx_burst_packets += queue.packets();
    tx += queue.drops();
  }
  stats.drops = {{"rx_bad_length", rx.bad_length},
                 {"rx_error", rx.error},
                 {"rx_pool_empty", rx.pool_empty},
                 {"rx_too_many_segments", rx.too_many_segments},
                 {"rx_stopped", rx.stopped},
                 {"tx_too_short", tx.too_short},
                 {"tx_too_long", tx.too_long},
                 {"tx_too_many_segments", tx.too_many_segments},
                 {"tx_bad_segment", tx.bad_segment},
                 {"tx_unreachable", tx.unreachable},
                 {"tx_unsupported_offload", tx.unsupported_offload},
                 {"tx_stopped", tx.stopped}};
}

void QueueSet::append(std::vector<Counter>& counters) const {
  for (std::uint32_t i = 0; i < rx_.size(); ++i) {
    if (const auto packets = rx_[i].packets(); packets != 0)
      counters.push_back({fmt::format("rx_queue_{}_packets", i), packets});
  }
  for (std::uint32_t i = 0; i < tx_.size(); ++i) {
    if (const auto packets = tx_[i].packets(); packets != 0)
      counters.push_back({fmt::format("tx_queue_{}_packets", i), packets});
  }
}

}  // namespace pollux::igb
