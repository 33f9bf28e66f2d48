// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/queue_set.hpp"

#include <algorithm>
#include <utility>

namespace pollux::drivers::intel {
namespace {

/// Every register of a removed card reads this.
constexpr std::uint32_t kRemoved = ~std::uint32_t{0};

constexpr std::uint32_t kMinCache = 64;

// A cache of the copies' pool. Without a pool of their own, copies come from the queue's cache.
RxCopying copying(const PlacedRxQueue& queue) {
  RxCopying copying{.max_length = queue.copy_break, .cache = nullptr};
  if (queue.copy_pool != nullptr && queue.copy_pool != queue.pool) {
    copying.cache = std::make_shared<MempoolCacheCore>(queue.copy_pool, kMinCache);
  }
  return copying;
}

// A cache of the headers' pool.
RxSplitting splitting(const PlacedRxQueue& queue) {
  if (queue.header_pool == nullptr) return {};
  return {.cache = std::make_shared<MempoolCacheCore>(queue.header_pool, kMinCache),
          .header_bytes = queue.header_bytes};
}

}  // namespace

IntelRxQueueSetup QueueSet::rx_setup(const QueueRegisters& registers, const PlacedSettings& settings,
                                     std::uint32_t queue, const Ring& ring, std::uint16_t port) {
  return {.ring = ring.descriptors,
          .size = ring.size,
          .buffer_bytes = settings.queues.rx[queue].buffer_bytes,
          .tail = registers.rx_tail(queue),
          .registers = registers.bar,
          .head_offset = registers.rx_head(queue),
          .pool = settings.queues.rx[queue].pool,
          .cache = card_receive_cache(settings.queues, queue),
          .port = port,
          .mode = settings.burst_mode,
          .keeps_bad_frames = settings.keep_bad_frames,
          .keeps_fcs = kept_fcs_bytes(settings) != 0,
          .copying = copying(settings.queues.rx[queue]),
          .splitting = splitting(settings.queues.rx[queue])};
}

IntelTxQueueSetup QueueSet::tx_setup(const QueueRegisters& registers, const PlacedSettings& settings,
                                     std::uint32_t queue, const Ring& ring,
                                     const std::shared_ptr<const ContextState>& context) const {
  return {.ring = ring.descriptors,
          .size = ring.size,
          .max_frame = max_frame_,
          .segments_tunnels = segments_tunnels_,
          .offloads = offloads_,
          .tail = registers.tx_tail(queue),
          .cache = card_transmit_cache(settings.queues, queue),
          .context = context,
          .mode = settings.burst_mode,
          .format = &format_,
          .is_alone = settings.queues.tx_queues() == 1};
}

void QueueSet::setup(const QueueRegisters& registers, const PlacedSettings& settings, const RingMemory& rings,
                     const std::shared_ptr<const ContextState>& context, std::uint16_t port) {
  for (std::uint32_t queue = 0; queue < settings.queues.rx_queues(); ++queue) {
    rx_[queue].setup(rx_setup(registers, settings, queue, rings.rx(queue), port));
  }
  for (std::uint32_t queue = 0; queue < settings.queues.tx_queues(); ++queue) {
    tx_[queue].setup(tx_setup(registers, settings, queue, rings.tx(queue), context));
  }
  // Detaches forward paths from queues that are no longer in use.
  std::for_each(rx_.begin() + settings.queues.rx_queues(), rx_.end(),
                [](IntelRxQueue& queue) { queue.detach_borrower(); });
  std::for_each(tx_.begin() + settings.queues.tx_queues(), tx_.end(),
                [](IntelTxQueue& queue) { queue.detach_borrower(); });
  rx_count_ = settings.queues.rx_queues();
  tx_count_ = settings.queues.tx_queues();
}

void QueueSet::exchange_registers(const QueueRegisters& registers) noexcept {
  for (std::uint32_t queue = 0; queue < rx_count_; ++queue) {
    rx_[queue].exchange_registers(registers.rx_tail(queue), registers.bar, registers.rx_head(queue));
  }
  for (std::uint32_t queue = 0; queue < tx_count_; ++queue) tx_[queue].exchange_registers(registers.tx_tail(queue));
}

void QueueSet::allow_sleeping(unsigned vectors) {
  if (vectors == 0) return;
  interrupts_.emplace(vectors, static_cast<unsigned>(rx_.size()));
  for (std::size_t queue = 0; queue < rx_.size(); ++queue) rx_[queue].allow_sleeping(static_cast<unsigned>(queue));
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

void QueueSet::set_rx_format(RxFormat format) noexcept {
  for (IntelRxQueue& queue : rx_) queue.set_format(format);
}

void QueueSet::set_longest_good(std::uint32_t bytes) noexcept {
  for (IntelRxQueue& queue : rx_) queue.longest_good.store(bytes, std::memory_order_relaxed);
}

void QueueSet::drop_long_frames(bool on) noexcept {
  for (IntelRxQueue& queue : rx_) queue.drop_long_frames(on);
}

Result<void> QueueSet::pause_receive(Clock& clock, Duration limit) {
  for (std::uint32_t queue = 0; queue < rx_count_; ++queue) {
    if (!rx_[queue].is_open()) continue;
    paused_rx_.push_back(&rx_[queue]);
    if (auto closed = rx_[queue].close(clock, limit); !closed) return closed;
  }
  return {};
}

void QueueSet::resume_receive() noexcept {
  for (IntelRxQueue* const queue : paused_rx_) queue->open();
  paused_rx_.clear();
}

void QueueSet::let_card_insert_tags(bool on) noexcept {
  for (IntelTxQueue& queue : tx_) queue.let_card_insert_tags(on);
}

Result<void> QueueSet::pause_transmit(Clock& clock, Duration limit) {
  for (std::uint32_t queue = 0; queue < tx_count_; ++queue) {
    if (!tx_[queue].is_open() || tx_[queue].is_borrowed()) continue;
    paused_.push_back(&tx_[queue]);
    if (auto closed = tx_[queue].close(clock, limit); !closed) return closed;
  }
  return {};
}

bool QueueSet::paused_finished() noexcept {
  return std::all_of(paused_.begin(), paused_.end(), [](IntelTxQueue* queue) { return queue->reclaim_sent() == 0; });
}

void QueueSet::resume_transmit() noexcept {
  for (IntelTxQueue* const queue : paused_) queue->open();
  paused_.clear();
}

bool QueueSet::transmit_finished() noexcept {
  bool finished = true;
  for (std::uint32_t queue = 0; queue < tx_count_; ++queue) finished = tx_[queue].reclaim_sent() == 0 && finished;
  return finished;
}

std::uint32_t QueueSet::drain(DrainReason reason) noexcept {
  std::uint32_t buffers = 0;
  for (std::uint32_t queue = 0; queue < rx_count_; ++queue) buffers += rx_[queue].drain(reason);
  for (std::uint32_t queue = 0; queue < tx_count_; ++queue) buffers += tx_[queue].drain(reason);
  return buffers;
}

std::uint64_t QueueSet::taken() const {
  std::uint64_t frames = 0;
  for (const IntelRxQueue& queue : rx_) frames += queue.packets() + queue.drops().sum() - queue.bad_frames();
  return frames;
}

// Reads the frames taken and the polled position before the card's head, and again after it. If frames were taken
// meanwhile, as many may have arrived, and the head of a full ring is then just past the earlier position, as if the
// ring were empty. So it looks again, and gives up on a thread that always takes frames. Each descriptor counts as one
// frame, so the sum may be too large.
std::optional<std::uint64_t> QueueSet::delivered(const QueueRegisters& registers, std::uint32_t queue,
                                                 Clock& clock) const {
  constexpr int kMaxLooks = 16;
  const IntelRxQueue& rx = rx_[queue];
  for (int looks = 0; looks < kMaxLooks; ++looks) {
    const auto before = rx.taken();
    const std::uint32_t next = rx.next_slot();
    const std::uint32_t head = registers.bar.read32(registers.rx_head(queue));
#if !defined(__x86_64__)
    // A burst marks the gate as in use with a store, which may become visible after the burst's later stores
    // (BurstGate).
    barrier_on_all_threads(clock);
#else
    static_cast<void>(clock);
#endif
    const auto taken = rx.taken();
    if (!before || !taken || head == kRemoved) return std::nullopt;
    if (*before == *taken && rx.next_slot() == next) return *taken + ((head - next) & rx.slot_mask());
  }
  return std::nullopt;
}

std::optional<std::uint64_t> QueueSet::delivered(const QueueRegisters& registers, Clock& clock) const {
  std::uint64_t frames = 0;
  for (std::uint32_t queue = 0; queue < rx_.size(); ++queue) {
    // Unused queues are not polled, but keep their counts.
    const auto of_queue = queue < rx_count_ ? delivered(registers, queue, clock) : rx_[queue].taken();
    if (!of_queue) return std::nullopt;
    frames += *of_queue;
  }
  return frames;
}

}  // namespace pollux::drivers::intel
