// SPDX-License-Identifier: BSD-3-Clause
// Restarts one queue while the others run.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "drivers/intel/queue/queue_port.hpp"

namespace pollux::drivers::intel {

Result<void> QueuePort::prepare(QueueId queue, const PlacedSettings& next, bool running) {
  const bool rx = queue.receives();
  if (this->running()) {
    if (auto can = may_restart(queue); !can) return can;
  }
  if (rx ? queues_->rx(queue.index)->is_borrowed() : queues_->tx(queue.index)->is_borrowed()) {
    return fail(
        ErrorCode::busy,
        fmt::format("{}: a forward path has {} queue {}", info().name, rx ? "receive" : "transmit", queue.index),
        "destroy the forward path first");
  }
  const std::uint32_t size = rx ? next.queues.rx[queue.index].ring : next.queues.tx[queue.index].ring;
  auto ring = RingMemory::allocate_one(*context(), size, info().numa_node, info().name);
  if (!ring) return pass_on(std::move(ring));
  PreparedQueue prepared{.ring = *std::move(ring)};
  if (rx) {
    prepared.rx = QueueSet::rx_setup(registers_, next, queue.index, prepared.ring.ring, info().index);
    prepared.rx_slots.frames.resize(size + IntelRxQueue::kPrefetchDistance);
    prepared.rx_slots.headers.resize(prepared.rx.splitting.cache != nullptr ? size : 0);
    if (running) {
      if (auto taken = take_buffers(prepared, *queues_->rx(queue.index)); !taken) return taken;
    }
  } else {
    prepared.tx = queues_->tx_setup(registers_, next, queue.index, prepared.ring.ring, context());
    prepared.tx_slots.resize(size);
  }
  prepared_ = std::move(prepared);
  return {};
}

// A queue that keeps its pool keeps its buffers, because the pool may have no others. This is the last step of
// `prepare`: if a later step failed, nothing would return these buffers.
Result<void> QueuePort::take_buffers(PreparedQueue& prepared, const IntelRxQueue& queue) {
  const std::uint32_t size = prepared.rx.size;
  const std::uint32_t old_size = queue.slot_mask() + 1;
  MempoolCore& pool = *prepared.rx.pool;
  prepared.kept = &pool == queue.pool().get() ? std::min(size, old_size) : 0;
  const std::span frames(prepared.rx_slots.frames.data(), size);
  const std::string user = "a new ring of " + info().name;
  if (auto taken = pool.take_all(frames.subspan(prepared.kept), user); !taken) return taken;
  if (prepared.rx.splitting.cache != nullptr) {
    MempoolCore& headers = prepared.rx.splitting.cache->pool();
    prepared.kept_headers = &headers == queue.header_pool() ? std::min(size, old_size) : 0;
    auto taken = headers.take_all(std::span(prepared.rx_slots.headers).subspan(prepared.kept_headers), user);
    if (!taken) {
      pool.put(frames.subspan(prepared.kept));
      return taken;
    }
  }
  prepared.has_buffers = true;
  return {};
}

void QueuePort::discard() noexcept {
  if (prepared_ && prepared_->has_buffers) {
    const std::span frames(prepared_->rx_slots.frames.data(), prepared_->rx.size);
    prepared_->rx.pool->put(frames.subspan(prepared_->kept));
    if (prepared_->rx.splitting.cache != nullptr) {
      prepared_->rx.splitting.cache->pool().put(
          std::span(prepared_->rx_slots.headers).subspan(prepared_->kept_headers));
    }
  }
  prepared_.reset();
}

void QueuePort::open_queue(QueueId queue) noexcept {
  queue.receives() ? rx_watch_.forget() : tx_watch_.forget();
  QueuedPort::open_queue(queue);
}

void QueuePort::exchange(QueueId queue) noexcept {
  PreparedQueue& prepared = *prepared_;
  if (queue.receives()) {
    IntelRxQueue& rx = *queues_->rx(queue.index);
    rx.drain(DrainReason::stopped, {prepared.rx_slots.frames.data(), prepared.kept},
             {prepared.rx_slots.headers.data(), prepared.kept_headers});
    rx.replace(std::move(prepared.rx), std::move(prepared.rx_slots));
  } else {
    IntelTxQueue& tx = *queues_->tx(queue.index);
    tx.drain();
    tx.replace(std::move(prepared.tx), std::move(prepared.tx_slots));
  }
  rings_.exchange(queue, std::move(prepared.ring));
  prepared_.reset();
}

}  // namespace pollux::drivers::intel
