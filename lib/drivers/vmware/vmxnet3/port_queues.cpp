// SPDX-License-Identifier: BSD-3-Clause
// The port's queues: their memory and interrupts, and the restart of one.
#include <algorithm>
#include <utility>

#include "drivers/vmware/vmxnet3/port.hpp"
#include "net/frame_size.hpp"
#include "net/queue_caches.hpp"

namespace pollux::drivers::vmxnet3 {
namespace {

// Frames have several buffers if the MTU needs them, and also if the pool has plenty: a larger MTU then needs no stop.
bool needs_bodies(const PlacedSettings& settings, const PlacedRxQueue& queue) noexcept {
  constexpr std::uint64_t kPlenty = 4;
  if (frame_bytes(settings.mtu) > queue.buffer_bytes || queue.pool == nullptr) return true;
  return queue.pool->options().count >= kPlenty * settings.queues.descriptors_of(queue.pool.get());
}

}  // namespace

std::size_t Vmxnet3Port::queue_bytes(QueueId queue, const PlacedQueues& config) const {
  return queue.receives() ? rx_bytes(config.rx[queue.index].ring) : tx_bytes(config.tx[queue.index].ring);
}

void Vmxnet3Port::set_up_queue(QueueId queue, const PlacedQueues& config, QueueMemory memory) {
  if (queue.receives()) {
    const PlacedRxQueue& rx = config.rx[queue.index];
    rx_[queue.index].setup({.memory = std::move(memory),
                            .size = rx.ring,
                            .buffer_bytes = rx.buffer_bytes,
                            .index = queue.index,
                            .queues = config.rx_queues(),
                            .pool = rx.pool,
                            .cache = card_receive_cache(config, queue.index),
                            .port = info().index});
  } else {
    tx_[queue.index].setup({.memory = std::move(memory),
                            .size = config.tx[queue.index].ring,
                            .limits = tx_limits(),
                            .cache = card_transmit_cache(config, queue.index),
                            .context = context()});
  }
}

std::uint32_t Vmxnet3Port::buffers_of(const PlacedSettings& settings, std::uint16_t queue) const {
  const PlacedRxQueue& rx = settings.queues.rx[queue];
  return needs_bodies(settings, rx) ? 2 * rx.ring : rx.ring;
}

void Vmxnet3Port::describe_queues() {
  reg::InterruptConf& interrupts = shared_.driver().interrupts;
  interrupts.auto_mask = 1;
  interrupts.vectors = static_cast<std::uint8_t>(std::max(vectors_, 1U));
  interrupts.control = reg::InterruptConf::kDisableAll;
  const auto unused = static_cast<std::uint8_t>(interrupts.vectors - 1);
  for (const QueueId queue : paravirtual::queues_of(config())) {
    const std::uint16_t index = queue.index;
    if (queue.receives()) {
      rx_[index].describe(shared_.rx(index), card_.queues, static_cast<std::uint8_t>(vector_of(index)));
    } else {
      tx_[index].describe(shared_.tx(index), card_.queues, index, unused);
    }
    if (is_stopped(queue)) shared_.hide(queue);
  }
}

bool Vmxnet3Port::is_stopped(QueueId queue) const noexcept {
  return (stopped_[static_cast<std::size_t>(queue.direction)] >> queue.index & 1) != 0;
}

// The device cannot stop one queue. So it is started again with rings without buffers in place of that queue's.
Result<void> Vmxnet3Port::halt_queue(QueueId queue) {
  stopped_[static_cast<std::size_t>(queue.direction)] |= std::uint32_t{1} << queue.index;
  return restart_device();
}

Result<void> Vmxnet3Port::start_queue(QueueId queue) {
  stopped_[static_cast<std::size_t>(queue.direction)] &= ~(std::uint32_t{1} << queue.index);
  return restart_device();
}

Result<void> Vmxnet3Port::restart_device() {
  if (auto closed = close_queues(paravirtual::kCloseLimit); !closed) return closed;
  if (auto halted = halt(); !halted) return halted;
  empty_queues();
  if (auto started = start_device(); !started) return started;
  for (const QueueId queue : paravirtual::queues_of(config())) {
    if (!is_stopped(queue)) open_queue(queue);
  }
  return {};
}

}  // namespace pollux::drivers::vmxnet3
