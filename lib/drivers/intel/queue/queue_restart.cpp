// SPDX-License-Identifier: BSD-3-Clause
// Restarts one queue while the others run.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "drivers/intel/queue/queue_port.hpp"
#include "drivers/intel/queue/rx_hot_path.hpp"

namespace pollux::drivers::intel {

Result<void> QueuePort::prepare(QueueId queue, const ValidatedConfig& next, bool running) {
  const bool rx = queue.receives();
  if (rx ? queues_->rx(queue.index)->is_lent() : queues_->tx(queue.index)->is_lent()) {
    return fail(ErrorCode::busy,
                fmt::format("{}: a forward path has {} queue {}", info_.name, rx ? "receive" : "transmit", queue.index),
                "destroy the forward path first");
  }
  const std::uint32_t size = rx ? next.rx[queue.index].ring : next.tx[queue.index].ring;
  const bool with_head = !rx && next.tx[queue.index].head_write_back;
  auto ring = RingMemory::allocate_one(*context_, size, with_head, info_.numa_node, info_.name);
  if (!ring) return pass_on(std::move(ring));
  PreparedQueue prepared{.config = next, .ring = *std::move(ring)};
  if (rx) {
    prepared.rx = QueueSet::rx_setup(registers_, next, queue.index, prepared.ring.ring, info_.index);
    prepared.slots.resize(size + RxHotPath::kPrefetchDistance);
    if (running) {
      if (auto taken = take_buffers(prepared, *queues_->rx(queue.index)); !taken) return taken;
    }
  } else {
    prepared.tx = queues_->tx_setup(registers_, next, queue.index, prepared.ring.ring, context_);
    prepared.slots.resize(size);
  }
  prepared_ = std::move(prepared);
  return {};
}

// A queue that keeps its pool keeps its buffers, because the pool may have no others. This is the last step of
// `prepare`: if a later step failed, nothing would return these buffers.
Result<void> QueuePort::take_buffers(PreparedQueue& prepared, const RxQueue& queue) {
  MempoolCore& pool = *prepared.rx.pool;
  const std::uint32_t size = prepared.rx.size;
  prepared.kept = &pool == queue.pool().get() ? std::min(size, queue.slot_mask() + 1) : 0;
  const std::uint32_t needed = size - prepared.kept;
  prepared.taken = pool.take({prepared.slots.data() + prepared.kept, needed});
  if (prepared.taken == needed) return {};
  pool.put({prepared.slots.data() + prepared.kept, prepared.taken});
  pool.count_failure();
  return fail(ErrorCode::no_memory,
              fmt::format("{}: mempool {} has {} mbufs left and the queue's new ring needs {} more", info_.name,
                          pool.options().name, prepared.taken, needed),
              "make the pool larger (count) or the ring smaller");
}

void QueuePort::discard() noexcept {
  if (prepared_ && prepared_->taken != 0) {
    prepared_->rx.pool->put({prepared_->slots.data() + prepared_->kept, prepared_->taken});
  }
  prepared_.reset();
}

Result<void> QueuePort::close_queue(QueueId queue, Duration limit) {
  Clock& clock = context_->clock();
  return queue.receives() ? queues_->rx(queue.index)->close(clock, limit)
                          : queues_->tx(queue.index)->close(clock, limit);
}

void QueuePort::open_queue(QueueId queue) noexcept {
  if (queue.receives()) {
    queues_->rx(queue.index)->open();
  } else {
    queues_->tx(queue.index)->open();
  }
}

void QueuePort::exchange(QueueId queue) noexcept {
  PreparedQueue& prepared = *prepared_;
  if (queue.receives()) {
    RxQueue& rx = *queues_->rx(queue.index);
    rx.drain(DrainReason::stopped, {prepared.slots.data(), prepared.kept});
    rx.replace(std::move(prepared.rx), std::move(prepared.slots));
  } else {
    TxQueue& tx = *queues_->tx(queue.index);
    tx.drain();
    tx.replace(std::move(prepared.tx), std::move(prepared.slots));
  }
  rings_.exchange(queue, std::move(prepared.ring));
  config_ = std::move(prepared.config);
  prepared_.reset();
}

}  // namespace pollux::drivers::intel
