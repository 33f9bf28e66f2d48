// SPDX-License-Identifier: BSD-3-Clause
// The port's queues: their memory and buffers, and the restart of one.
#include <algorithm>
#include <utility>

#include "drivers/paravirtual/port.hpp"

namespace pollux::drivers::paravirtual {

Result<QueueMemory> ParavirtualPort::allocate(QueueId queue, const PlacedQueues& config) {
  return allocate_queue_memory(*context(), queue_bytes(queue, config), info().numa_node, info().name);
}

Result<void> ParavirtualPort::configure(const PlacedSettings& settings) {
  const PlacedQueues& config = settings.queues;
  std::vector<std::pair<QueueId, QueueMemory>> all;
  for (const QueueId queue : queues_of(config)) {
    auto memory = allocate(queue, config);
    if (!memory) return pass_on(std::move(memory));
    all.emplace_back(queue, *std::move(memory));
  }
  QueuedPort::retire();
  forget_vectors();  // which queues share one is known when the port starts
  for (auto& [queue, memory] : all) set_up_queue(queue, config, std::move(memory));
  use_queues(config);
  return {};
}

Result<void> ParavirtualPort::fill() {
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) {
    if (auto filled = rx_queues_[queue]->fill(buffers_of(settings(), queue), {}); !filled) {
      for (std::uint16_t undo = 0; undo < queue; ++undo) rx_queues_[undo]->drain(DrainReason::stopped, {});
      return filled;
    }
  }
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) tx_queues_[queue]->clear();
  return {};
}

std::uint32_t ParavirtualPort::drain(DrainReason reason) noexcept {
  std::uint32_t buffers = 0;
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) buffers += rx_queues_[queue]->drain(reason, {});
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) buffers += tx_queues_[queue]->drain(reason);
  return buffers;
}

void ParavirtualPort::empty_queues() noexcept {
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) {
    ParavirtualRxQueue& rx = *rx_queues_[queue];
    std::vector<Mbuf*> buffers(rx.buffers());
    if (buffers.empty()) continue;  // a queue that is stopped
    rx.drain(DrainReason::stopped, buffers);
    // With all buffers given it takes none of the pool, and cannot fail.
    static_cast<void>(rx.fill(static_cast<std::uint32_t>(buffers.size()), buffers));
  }
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) tx_queues_[queue]->drain(DrainReason::stopped);
}

// A queue that keeps its pool keeps its buffers, because the pool may have no others.
Result<void> ParavirtualPort::prepare(QueueId queue, const PlacedSettings& settings, bool running) {
  const PlacedQueues& next = settings.queues;
  auto memory = allocate(queue, next);
  if (!memory) return pass_on(std::move(memory));
  PreparedQueue prepared{.config = next, .memory = *std::move(memory)};
  if (running && queue.receives()) {
    const ParavirtualRxQueue& rx = *rx_queues_[queue.index];
    MempoolCore& pool = *next.rx[queue.index].pool;
    const std::uint32_t count = buffers_of(settings, queue.index);
    prepared.kept = &pool == rx.pool().get() ? std::min(count, rx.buffers()) : 0;
    prepared.buffers.resize(count);
    const auto missing = std::span(prepared.buffers).subspan(prepared.kept);
    if (auto taken = pool.take_all(missing, "a new ring of " + info().name); !taken) return taken;
  }
  prepared_ = std::move(prepared);
  return {};
}

void ParavirtualPort::discard() noexcept {
  if (prepared_ && !prepared_->buffers.empty()) {
    const auto own = std::span(prepared_->buffers).subspan(prepared_->kept);
    if (!own.empty()) MbufAccess::pool(*own.front()).put(own);
  }
  prepared_.reset();
}

void ParavirtualPort::exchange(QueueId queue) noexcept {
  PreparedQueue prepared = *std::exchange(prepared_, std::nullopt);
  const std::span<Mbuf* const> buffers(prepared.buffers);
  if (queue.receives()) {
    rx_queues_[queue.index]->drain(DrainReason::stopped, std::span(prepared.buffers).first(prepared.kept));
  } else {
    tx_queues_[queue.index]->drain(DrainReason::stopped);
  }
  set_up_queue(queue, prepared.config, std::move(prepared.memory));
  // With all buffers given it takes none of the pool, and cannot fail.
  if (!buffers.empty())
    static_cast<void>(rx_queues_[queue.index]->fill(static_cast<std::uint32_t>(buffers.size()), buffers));
}

}  // namespace pollux::drivers::paravirtual
