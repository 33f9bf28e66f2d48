// SPDX-License-Identifier: BSD-3-Clause
// The port's queues: their memory, and the restart of one while the others run.
#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "drivers/virtio/net/port.hpp"
#include "net/frame_size.hpp"
#include "net/queue_caches.hpp"

namespace pollux::drivers::virtio {
namespace {

/// How long to wait for the bursts of other threads, before the whole device is reset for one queue.
constexpr Duration kCloseLimit = std::chrono::seconds(1);

}  // namespace

Result<Virtqueue> VirtioNetPort::allocate_queue(QueueId queue, const PlacedQueues& config) {
  const std::uint32_t size = queue.receives() ? config.rx[queue.index].ring : config.tx[queue.index].ring;
  const std::size_t extra = queue.receives() ? 0 : tx_extra_bytes(facts_.features, size);
  return allocate_virtqueue(*context(), facts_.features, size, extra, info().numa_node, info().name);
}

void VirtioNetPort::set_up_rx(std::uint16_t queue, const PlacedQueues& config, Virtqueue memory) {
  rx_[queue].setup({.memory = std::move(memory),
                    .features = facts_.features,
                    .buffer_bytes = config.rx[queue].buffer_bytes,
                    .pool = config.rx[queue].pool,
                    .cache = card_receive_cache(config, queue),
                    .port = info().index});
}

void VirtioNetPort::set_up_tx(std::uint16_t queue, const PlacedQueues& config, Virtqueue memory) {
  tx_[queue].setup({.memory = std::move(memory),
                    .features = facts_.features,
                    .limits = {.min_frame = info().limits.min_frame,
                               .max_frame = frame_bytes(info().limits.max_mtu),
                               .offloads = info().offloads.tx_flags},
                    .cache = card_transmit_cache(config, queue),
                    .context = context()});
}

Result<void> VirtioNetPort::configure(const PlacedSettings& settings) {
  const PlacedQueues& config = settings.queues;
  std::vector<Virtqueue> rx;
  std::vector<Virtqueue> tx;
  for (std::uint16_t queue = 0; queue < config.rx_queues(); ++queue) {
    auto memory = allocate_queue({QueueDirection::receive, queue}, config);
    if (!memory) return pass_on(std::move(memory));
    rx.push_back(*std::move(memory));
  }
  for (std::uint16_t queue = 0; queue < config.tx_queues(); ++queue) {
    auto memory = allocate_queue({QueueDirection::transmit, queue}, config);
    if (!memory) return pass_on(std::move(memory));
    tx.push_back(*std::move(memory));
  }
  QueuedPort::retire();
  forget_vectors();  // which queues share one is known when the port starts
  for (std::uint16_t queue = 0; queue < config.rx_queues(); ++queue) set_up_rx(queue, config, std::move(rx[queue]));
  for (std::uint16_t queue = 0; queue < config.tx_queues(); ++queue) set_up_tx(queue, config, std::move(tx[queue]));
  use_queues(config);
  return {};
}

Result<void> VirtioNetPort::fill() {
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) {
    if (auto filled = rx_[queue].fill(); !filled) {
      for (std::uint16_t undo = 0; undo < queue; ++undo) rx_[undo].drain(DrainReason::stopped);
      return filled;
    }
  }
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) tx_[queue].clear();
  return {};
}

std::uint32_t VirtioNetPort::drain(DrainReason reason) noexcept {
  std::uint32_t buffers = 0;
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) buffers += rx_[queue].drain(reason);
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) buffers += tx_[queue].drain(reason);
  return buffers;
}

bool VirtioNetPort::resets_queues() const noexcept {
  return (facts_.features & feature::kRingReset) != 0 && card_.transport.has_queue_reset();
}

// A queue that keeps its pool keeps its buffers, because the pool may have no others. Without RING_RESET the device is
// reset and started with all queues, so none can be left out.
Result<void> VirtioNetPort::prepare(QueueId queue, const PlacedSettings& settings, bool running) {
  const PlacedQueues& next = settings.queues;
  if (this->running() && !running && !resets_queues()) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: the device cannot stop one queue: it lacks RING_RESET", info().name),
                "stop the port, or restart the queue, which resets the whole device");
  }
  if (queue.receives()) {
    if (auto fits = check_ring(queue.index, next.rx[queue.index]); !fits) return fits;
  }
  auto memory = allocate_queue(queue, next);
  if (!memory) return pass_on(std::move(memory));
  PreparedQueue prepared{.config = next, .memory = *std::move(memory)};
  if (running && queue.receives()) {
    const VirtioRxQueue& rx = rx_[queue.index];
    MempoolCore& pool = *next.rx[queue.index].pool;
    const std::uint32_t size = prepared.memory.size;
    prepared.kept = &pool == rx.pool().get() ? std::min(size, rx.size()) : 0;
    prepared.buffers.resize(size);
    const auto missing = std::span(prepared.buffers).subspan(prepared.kept);
    if (auto taken = pool.take_all(missing, "a new ring of " + info().name); !taken) return taken;
  }
  prepared_ = std::move(prepared);
  return {};
}

void VirtioNetPort::discard() noexcept {
  if (prepared_ && !prepared_->buffers.empty()) {
    const auto own = std::span(prepared_->buffers).subspan(prepared_->kept);
    if (!own.empty()) MbufAccess::pool(*own.front()).put(own);
  }
  prepared_.reset();
}

Result<void> VirtioNetPort::halt_queue(QueueId queue) {
  if (!resets_queues()) {
    auto closed = close_queues(kCloseLimit);
    return closed ? halt() : closed;
  }
  // The other queues may be in use by their threads.
  if (!queue.receives() && read_link(card_).link.up) wait_for_transmit(queue.index, queue.index + 1);
  return reset_queue(
      card_, queue.receives() ? hw::virtio::rx_queue_index(queue.index) : hw::virtio::tx_queue_index(queue.index));
}

void VirtioNetPort::exchange(QueueId queue) noexcept {
  PreparedQueue prepared = *std::exchange(prepared_, std::nullopt);
  if (queue.receives()) {
    VirtioRxQueue& rx = rx_[queue.index];
    rx.drain(DrainReason::stopped, std::span(prepared.buffers).first(prepared.kept));
    set_up_rx(queue.index, prepared.config, std::move(prepared.memory));
    // With all buffers given it takes none of the pool, and cannot fail.
    if (!prepared.buffers.empty()) static_cast<void>(rx.fill(prepared.buffers));
  } else {
    tx_[queue.index].drain(DrainReason::stopped);
    set_up_tx(queue.index, prepared.config, std::move(prepared.memory));
  }
}

// The other queues of a device that was reset as a whole. Receive queues keep their buffers.
void VirtioNetPort::clear_others(QueueId queue) noexcept {
  for (std::uint16_t other = 0; other < config().rx_queues(); ++other) {
    if (queue.receives() && other == queue.index) continue;
    std::vector<Mbuf*> buffers(rx_[other].size());
    rx_[other].drain(DrainReason::stopped, buffers);
    static_cast<void>(rx_[other].fill(buffers));  // takes none of the pool
  }
  for (std::uint16_t other = 0; other < config().tx_queues(); ++other) {
    if (queue.receives() || other != queue.index) tx_[other].drain(DrainReason::stopped);
  }
}

Result<void> VirtioNetPort::start_queue(QueueId queue) {
  if (!resets_queues()) {
    clear_others(queue);
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
