// SPDX-License-Identifier: BSD-3-Clause
// The port's queues: their memory, and the restart of one while the others run.
#include <utility>

#include "drivers/virtio/net/port.hpp"
#include "net/queue_caches.hpp"

namespace pollux::drivers::virtio {

std::size_t VirtioNetPort::queue_bytes(QueueId queue, const PlacedQueues& config) const {
  const Features features = facts_.features;
  if (queue.receives()) return virtqueue_bytes(features, config.rx[queue.index].ring, 0);
  const std::uint32_t ring = config.tx[queue.index].ring;
  return virtqueue_bytes(features, ring, tx_extra_bytes(features, ring));
}

void VirtioNetPort::set_up_queue(QueueId queue, const PlacedQueues& config, paravirtual::QueueMemory memory) {
  const Features features = facts_.features;
  if (queue.receives()) {
    const PlacedRxQueue& rx = config.rx[queue.index];
    rx_[queue.index].setup({.memory = place_virtqueue(std::move(memory), features, rx.ring, 0),
                            .features = features,
                            .buffer_bytes = rx.buffer_bytes,
                            .pool = rx.pool,
                            .cache = card_receive_cache(config, queue.index),
                            .port = info().index});
  } else {
    const std::uint32_t ring = config.tx[queue.index].ring;
    tx_[queue.index].setup(
        {.memory = place_virtqueue(std::move(memory), features, ring, tx_extra_bytes(features, ring)),
         .features = features,
         .limits = tx_limits(),
         .cache = card_transmit_cache(config, queue.index),
         .context = context()});
  }
}

bool VirtioNetPort::resets_queues() const noexcept {
  return (facts_.features & feature::kRingReset) != 0 && card_.transport.has_queue_reset();
}

// Without RING_RESET the device is reset and started with all queues, so none can be left out.
Result<void> VirtioNetPort::prepare(QueueId queue, const PlacedSettings& settings, bool running) {
  if (this->running() && !running && !resets_queues()) {
    return refuse(ErrorCode::not_supported, "the device cannot stop one queue: it lacks RING_RESET",
                  "stop the port, or restart the queue, which resets the whole device");
  }
  if (queue.receives()) {
    if (auto fits = check_ring(queue.index, settings.queues.rx[queue.index]); !fits) return fits;
  }
  return ParavirtualPort::prepare(queue, settings, running);
}

Result<void> VirtioNetPort::halt_queue(QueueId queue) {
  if (!resets_queues()) {
    auto closed = close_queues(paravirtual::kCloseLimit);
    return closed ? halt() : closed;
  }
  // The other queues may be in use by their threads.
  if (!queue.receives() && read_link(card_).link.up)
    wait_for_transmit(card_.common().bar(), queue.index, queue.index + 1);
  return reset_queue(
      card_, queue.receives() ? hw::virtio::rx_queue_index(queue.index) : hw::virtio::tx_queue_index(queue.index));
}

Result<void> VirtioNetPort::start_queue(QueueId queue) {
  if (!resets_queues()) {
    empty_queues();
    auto started = start();
    if (started) open_queues();
    return started;
  }
  if (auto enabled = enable_one(queue); !enabled) return enabled;
  if (queue.receives()) {
    // The device has forgotten it (5.1.6.5.9).
    if (auto moderated = moderate(settings(), queue.index); !moderated) return moderated;
    rx_[queue.index].publish_all();
  }
  card_.common().flush();
  return {};
}

}  // namespace pollux::drivers::virtio
