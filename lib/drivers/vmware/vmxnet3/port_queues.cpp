// SPDX-License-Identifier: BSD-3-Clause
// The port's queues: their memory and interrupts, and the restart of one.
#include <algorithm>
#include <chrono>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "drivers/vmware/vmxnet3/port.hpp"
#include "net/frame_size.hpp"
#include "net/queue_caches.hpp"

namespace pollux::drivers::vmxnet3 {
namespace {

/// How long to wait for the bursts of other threads, before the whole device is reset for one queue.
constexpr Duration kCloseLimit = std::chrono::seconds(1);

/// Vectors besides those of receive queues: the first is for events, the last, which stays masked, for transmit queues.
constexpr unsigned kOtherVectors = 2;

// Frames have several buffers if the MTU needs them, and also if the pool has plenty: a larger MTU then needs no stop.
bool needs_bodies(const PlacedSettings& settings, const PlacedRxQueue& queue) noexcept {
  constexpr std::uint64_t kPlenty = 4;
  if (frame_bytes(settings.mtu) > queue.buffer_bytes || queue.pool == nullptr) return true;
  return queue.pool->options().count >= kPlenty * settings.queues.descriptors_of(queue.pool.get());
}

}  // namespace

Result<DmaArea> Vmxnet3Port::allocate_queue(QueueId queue, const PlacedQueues& config) {
  const std::size_t bytes =
      queue.receives() ? rx_bytes(config.rx[queue.index].ring) : tx_bytes(config.tx[queue.index].ring);
  return allocate_area(*context(), bytes, info().numa_node, info().name);
}

void Vmxnet3Port::set_up_rx(std::uint16_t queue, const PlacedQueues& config, DmaArea memory) {
  const PlacedRxQueue& rx = config.rx[queue];
  rx_[queue].setup({.memory = std::move(memory),
                    .size = rx.ring,
                    .buffer_bytes = rx.buffer_bytes,
                    .index = queue,
                    .queues = config.rx_queues(),
                    .pool = rx.pool,
                    .cache = card_receive_cache(config, queue),
                    .port = info().index});
}

void Vmxnet3Port::set_up_tx(std::uint16_t queue, const PlacedQueues& config, DmaArea memory) {
  tx_[queue].setup({.memory = std::move(memory),
                    .size = config.tx[queue].ring,
                    .limits = {.min_frame = info().limits.min_frame,
                               .max_frame = frame_bytes(info().limits.max_mtu),
                               .offloads = info().offloads.tx_flags},
                    .cache = card_transmit_cache(config, queue),
                    .context = context()});
}

Result<void> Vmxnet3Port::configure(const PlacedSettings& settings) {
  const PlacedQueues& config = settings.queues;
  std::vector<DmaArea> rx;
  std::vector<DmaArea> tx;
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

Result<void> Vmxnet3Port::fill() {
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) {
    if (auto filled = rx_[queue].fill(needs_bodies(settings(), config().rx[queue])); !filled) {
      for (std::uint16_t undo = 0; undo < queue; ++undo) rx_[undo].drain(DrainReason::stopped);
      return filled;
    }
  }
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) tx_[queue].clear();
  return {};
}

std::uint32_t Vmxnet3Port::drain(DrainReason reason) noexcept {
  std::uint32_t buffers = 0;
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) buffers += rx_[queue].drain(reason);
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) buffers += tx_[queue].drain(reason);
  return buffers;
}

std::uint8_t Vmxnet3Port::vector_of(std::uint16_t queue) const noexcept {
  return vectors_ == 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(1 + queue % (vectors_ - kOtherVectors));
}

void Vmxnet3Port::forget_vectors() noexcept {
  for (Vmxnet3RxQueue& queue : rx_) queue.attach_vector(-1);
  event_event_ = -1;
  vectors_ = 0;
}

void Vmxnet3Port::enable_interrupts() {
  forget_vectors();
  const unsigned wanted = std::min(device_->interrupt_vectors(), config().rx_queues() + kOtherVectors);
  if (wanted <= kOtherVectors) return;
  const auto events = device_->enable_interrupts(wanted);
  if (!events) {
    card_.log(LogLevel::warning, events.error().message() + "; no thread can sleep on the port's queues");
    return;
  }
  vectors_ = wanted;
  event_event_ = events->front();
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue)
    rx_[queue].attach_vector((*events)[vector_of(queue)]);
}

void Vmxnet3Port::describe_queues() {
  reg::InterruptConf& interrupts = shared_.driver().interrupts;
  interrupts.auto_mask = 1;
  interrupts.vectors = static_cast<std::uint8_t>(std::max(vectors_, 1U));
  interrupts.control = reg::InterruptConf::kDisableAll;
  const auto unused = static_cast<std::uint8_t>(interrupts.vectors - 1);
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) {
    rx_[queue].describe(shared_.rx(queue), card_.queues, vector_of(queue));
    if (is_stopped({QueueDirection::receive, queue})) shared_.hide(shared_.rx(queue));
  }
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) {
    tx_[queue].describe(shared_.tx(queue), card_.queues, queue, unused);
    if (is_stopped({QueueDirection::transmit, queue})) shared_.hide(shared_.tx(queue));
  }
}

Result<std::vector<unsigned>> Vmxnet3Port::rx_vectors() {
  if (device_ == nullptr || device_->interrupt_vectors() == 0) {
    return fail(ErrorCode::not_supported, fmt::format("{}: the device has no MSI-X vectors", info().name),
                "poll its queues");
  }
  if (vectors_ == 0) {
    return fail(ErrorCode::bad_state, fmt::format("{}: no interrupt vector is enabled", info().name),
                "start the port; its log says why vectors could not be enabled");
  }
  std::vector<unsigned> vectors;
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) vectors.push_back(vector_of(queue));
  return vectors;
}

bool Vmxnet3Port::is_stopped(QueueId queue) const noexcept {
  return (stopped_[static_cast<std::size_t>(queue.direction)] >> queue.index & 1) != 0;
}

// A queue that keeps its pool keeps its buffers, because the pool may have no others.
Result<void> Vmxnet3Port::prepare(QueueId queue, const PlacedSettings& settings, bool running) {
  const PlacedQueues& next = settings.queues;
  auto memory = allocate_queue(queue, next);
  if (!memory) return pass_on(std::move(memory));
  PreparedQueue prepared{.config = next, .memory = *std::move(memory)};
  if (running && queue.receives()) {
    const Vmxnet3RxQueue& rx = rx_[queue.index];
    MempoolCore& pool = *next.rx[queue.index].pool;
    prepared.several = needs_bodies(settings, next.rx[queue.index]);
    const std::uint32_t size = next.rx[queue.index].ring * (prepared.several ? 2 : 1);
    prepared.kept = &pool == rx.pool().get() ? std::min(size, rx.buffers()) : 0;
    prepared.buffers.resize(size);
    const auto missing = std::span(prepared.buffers).subspan(prepared.kept);
    if (auto taken = pool.take_all(missing, "a new ring of " + info().name); !taken) return taken;
  }
  prepared_ = std::move(prepared);
  return {};
}

void Vmxnet3Port::discard() noexcept {
  if (prepared_ && !prepared_->buffers.empty()) {
    const auto own = std::span(prepared_->buffers).subspan(prepared_->kept);
    if (!own.empty()) MbufAccess::pool(*own.front()).put(own);
  }
  prepared_.reset();
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
  if (auto closed = close_queues(kCloseLimit); !closed) return closed;
  if (auto halted = halt(); !halted) return halted;
  const auto each = [this](auto action) {
    for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) {
      if (!is_stopped({QueueDirection::receive, queue})) action(rx_[queue]);
    }
    for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) {
      if (!is_stopped({QueueDirection::transmit, queue})) action(tx_[queue]);
    }
  };
  const auto empty = [](Vmxnet3RxQueue& rx) {
    std::vector<Mbuf*> buffers(rx.buffers());
    rx.drain(DrainReason::stopped, buffers);
    static_cast<void>(rx.fill(rx.several(), buffers));  // takes none of the pool
  };
  each([&](auto& queue) {
    if constexpr (std::is_same_v<decltype(queue), Vmxnet3RxQueue&>) {
      empty(queue);
    } else {
      queue.drain(DrainReason::stopped);
    }
  });
  auto started = start_device();
  if (started) each([](auto& queue) { queue.open(); });
  return started;
}

void Vmxnet3Port::exchange(QueueId queue) noexcept {
  PreparedQueue prepared = *std::exchange(prepared_, std::nullopt);
  if (queue.receives()) {
    Vmxnet3RxQueue& rx = rx_[queue.index];
    rx.drain(DrainReason::stopped, std::span(prepared.buffers).first(prepared.kept));
    set_up_rx(queue.index, prepared.config, std::move(prepared.memory));
    // With all buffers given it takes none of the pool, and cannot fail.
    if (!prepared.buffers.empty()) static_cast<void>(rx.fill(prepared.several, prepared.buffers));
  } else {
    tx_[queue.index].drain(DrainReason::stopped);
    set_up_tx(queue.index, prepared.config, std::move(prepared.memory));
  }
}

}  // namespace pollux::drivers::vmxnet3
