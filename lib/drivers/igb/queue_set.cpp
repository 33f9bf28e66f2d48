// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/igb/queue_set.hpp"

#include <algorithm>
#include <utility>

#include "drivers/igb/port_limits.hpp"
#include "net/stats.hpp"

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
  sum.removed += more.removed;
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
  sum.removed += more.removed;
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
  std::for_each_n(rx_.begin(), rx_count_.load(), close_one);
  std::for_each_n(tx_.begin(), tx_count_.load(), close_one);
  return result;
}

bool QueueSet::transmit_settled() noexcept {
  bool settled = true;
  for (std::uint32_t queue = 0; queue < tx_count_; ++queue) settled = tx_[queue].settle() == 0 && settled;
  return settled;
}

std::uint32_t QueueSet::drain(DrainReason reason) noexcept {
  std::uint32_t buffers = 0;
  for (std::uint32_t queue = 0; queue < rx_count_; ++queue) buffers += rx_[queue].drain(reason);
  for (std::uint32_t queue = 0; queue < tx_count_; ++queue) buffers += tx_[queue].drain(reason);
  return buffers;
}

void QueueSet::count(Stats& stats) const {
  RxDrops rx;
  TxDrops tx;
  for (std::size_t i = 0; i < rx_.size(); ++i) {
    const QueueStats queue{.packets = rx_[i].packets(), .drops = rx_[i].drops().sum()};
    stats.rx_burst_packets += queue.packets;
    rx += rx_[i].drops();
    put_if_used(stats.rx_queues, i, rx_count_, queue);
  }
  for (std::size_t i = 0; i < tx_.size(); ++i) {
    const QueueStats queue{.packets = tx_[i].packets(), .drops = tx_[i].drops().sum()};
    stats.tx_burst_packets += queue.packets;
    tx += tx_[i].drops();
    put_if_used(stats.tx_queues, i, tx_count_, queue);
  }
  stats.drops = {{"rx_bad_length", rx.bad_length},
                 {"rx_error", rx.error},
                 {"rx_pool_empty", rx.pool_empty},
                 {"rx_too_many_segments", rx.too_many_segments},
                 {"rx_stopped", rx.stopped},
                 {"rx_removed", rx.removed},
                 {"tx_too_short", tx.too_short},
                 {"tx_too_long", tx.too_long},
                 {"tx_too_many_segments", tx.too_many_segments},
                 {"tx_bad_segment", tx.bad_segment},
                 {"tx_unreachable", tx.unreachable},
                 {"tx_unsupported_offload", tx.unsupported_offload},
                 {"tx_stopped", tx.stopped},
                 {"tx_removed", tx.removed}};
}

std::uint64_t QueueSet::taken() const {
  std::uint64_t frames = 0;
  for (const RxQueue& queue : rx_) frames += queue.packets() + queue.drops().sum();
  return frames;
}

// The order makes the sum too large where frames come and are taken meanwhile, and never too small: where each ring is
// polled, then up to where the card has filled it, then what has been taken until now. Descriptors pass for frames.
std::optional<std::uint64_t> QueueSet::delivered(const hw::igb::Registers& regs, Clock& clock) const {
  const std::uint32_t queues = rx_count_;
  std::array<std::uint32_t, hw::igb::kRxQueues> next{};
  for (std::uint32_t queue = 0; queue < queues; ++queue) next[queue] = rx_[queue].next_slot();
#if !defined(__x86_64__)
  // A burst's first store, which says that it goes on, may become visible after its others (BurstGate).
  barrier_on_all_threads(clock);
#else
  static_cast<void>(clock);
#endif
  std::uint64_t frames = 0;
  for (std::uint32_t queue = 0; queue < queues; ++queue) {
    const auto head = regs.read<reg::RDH>(queue);
    if (head.all_ones()) return std::nullopt;
    frames += (head.get(reg::RDH::HEAD) - next[queue]) & rx_[queue].slot_mask();
  }
  for (std::uint32_t queue = 0; queue < hw::igb::kRxQueues; ++queue) {
    // Queues that are not in use are polled by nobody, and keep what they counted.
    const auto taken = rx_[queue].taken();
    if (!taken) return std::nullopt;
    frames += *taken;
  }
  return frames;
}

}  // namespace pollux::igb
