// SPDX-License-Identifier: BSD-3-Clause
// The queues of the virtio driver on a faked device.
#include <memory>
#include <vector>

#include "arrivals.hpp"
#include "drivers/virtio/queue/rx_queue.hpp"
#include "drivers/virtio/queue/tx_queue.hpp"
#include "faked_virtio.hpp"
#include "queue_workloads.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

namespace driver = drivers::virtio;
namespace feature = hw::virtio::feature;

constexpr hw::virtio::Features kBoth = feature::kEventIdx | feature::kIndirectDesc;

/// The device's side of a queue, with its memory.
FakedVirtqueue device_of(const driver::Virtqueue& memory, hw::virtio::Features features, const Setup& setup) {
  FakedVirtqueue device(
      {.descriptors = memory.descriptors.address,
       .driver = memory.driver.address,
       .device = memory.device.address,
       .size = memory.size,
       .delta = reinterpret_cast<std::uintptr_t>(memory.descriptors.address) - memory.descriptors.iova},
      (features & feature::kRingPacked) != 0);
  device.set_cold(setup.cold);
  return device;
}

/// The memory of a queue, and its doorbell.
class Ring {
 public:
  Ring(QueuePool& shared, hw::virtio::Features features, const Setup& setup, std::size_t extra)
      : memory_(need(driver::allocate_virtqueue(*shared.context.state(), features, setup.ring, extra, -1, "bench"))) {}
  [[nodiscard]] driver::Notifier notifier() {
    return {Bar(reinterpret_cast<volatile std::uint8_t*>(&doorbell_), sizeof doorbell_), 0, 0, false};
  }
  [[nodiscard]] const driver::Virtqueue& memory() const { return memory_; }

 private:
  driver::Virtqueue memory_;
  std::uint16_t doorbell_ = 0;
};

class Receiver : public QueueEnd<FakedVirtqueue> {
 public:
  Receiver(QueuePool& shared, const Setup& setup, hw::virtio::Features features) : ring_(shared, features, setup, 0) {
    device_ = device_of(ring_.memory(), features, setup);
    filter_.set_promiscuous(true);
    queue_.setup({.memory = ring_.memory(),
                  .features = features,
                  .buffer_bytes = Setup::kBuffer,
                  .pool = shared.pool.core(),
                  .cache = shared.cache.core(),
                  .port = 0});
    need(queue_.fill(setup.ring, {}));
    queue_.use_notifier(ring_.notifier());
    queue_.publish_all();
    device_.ask_for_no_doorbells();
    queue_.open();
  }
  ~Receiver() {
    queue_.drain(DrainReason::stopped, {});
    queue_.retire();
  }
  [[nodiscard]] RxQueue& queue() { return queue_; }

 private:
  Ring ring_;
  RxFilter filter_;
  driver::VirtioRxQueue queue_{filter_, false};
};

class Sender : public QueueEnd<FakedVirtqueue> {
 public:
  Sender(QueuePool& shared, const Setup& setup, hw::virtio::Features features)
      : ring_(shared, features, setup, driver::tx_extra_bytes(features, setup.ring)) {
    device_ = device_of(ring_.memory(), features, setup);
    queue_.setup({.memory = ring_.memory(),
                  .features = features,
                  .limits = {.min_frame = 14, .max_frame = 1518, .offloads = 0},
                  .cache = shared.cache.core(),
                  .context = shared.context.state()});
    queue_.use_notifier(ring_.notifier());
    device_.ask_for_no_doorbells();
    queue_.open();
  }
  ~Sender() {
    queue_.drain(DrainReason::stopped);
    queue_.retire();
  }
  [[nodiscard]] TxQueue& queue() { return queue_; }

 private:
  Ring ring_;
  driver::VirtioTxQueue queue_;
};

/// Several pairs of queues with one pool.
class ArrivalsPort {
 public:
  ArrivalsPort(hw::virtio::Features features, const Setup& setup) : shared_(setup) {
    for (std::uint16_t queue = 0; queue < setup.queues; ++queue) {
      receivers_.push_back(std::make_unique<Receiver>(shared_, setup, features));
      senders_.push_back(std::make_unique<Sender>(shared_, setup, features));
      card_.add(receivers_.back()->device(), senders_.back()->device());
    }
  }
  [[nodiscard]] FakedVirtioCard& card() { return card_; }
  [[nodiscard]] const FakedVirtioCard& card() const { return card_; }
  std::uint32_t forward(std::uint16_t queue, std::uint32_t limit) {
    return forward_once(receivers_[queue]->queue(), senders_[queue]->queue(), limit);
  }

 private:
  QueuePool shared_;
  std::vector<std::unique_ptr<Receiver>> receivers_;
  std::vector<std::unique_ptr<Sender>> senders_;
  FakedVirtioCard card_;
};

using VirtioReceive = QueueReceive<Receiver>;
using VirtioTransmit = QueueTransmit<Sender>;
using VirtioForward = QueueForward<Receiver, Sender>;

}  // namespace

std::unique_ptr<Workload> virtio_split_receive(const Setup& setup) {
  return std::make_unique<VirtioReceive>(setup, kBoth);
}
std::unique_ptr<Workload> virtio_split_receive_mergeable(const Setup& setup) {
  return std::make_unique<VirtioReceive>(setup, kBoth | feature::kMrgRxbuf);
}
std::unique_ptr<Workload> virtio_packed_receive(const Setup& setup) {
  return std::make_unique<VirtioReceive>(setup, kBoth | feature::kRingPacked);
}
std::unique_ptr<Workload> virtio_packed_receive_mergeable(const Setup& setup) {
  return std::make_unique<VirtioReceive>(setup, kBoth | feature::kRingPacked | feature::kMrgRxbuf);
}
std::unique_ptr<Workload> virtio_split_transmit(const Setup& setup) {
  return std::make_unique<VirtioTransmit>(setup, kBoth);
}
std::unique_ptr<Workload> virtio_packed_transmit(const Setup& setup) {
  return std::make_unique<VirtioTransmit>(setup, kBoth | feature::kRingPacked);
}
std::unique_ptr<Workload> virtio_split_forward(const Setup& setup) {
  return std::make_unique<VirtioForward>(setup, kBoth);
}
std::unique_ptr<Workload> virtio_split_forward_mergeable(const Setup& setup) {
  return std::make_unique<VirtioForward>(setup, kBoth | feature::kMrgRxbuf);
}
std::unique_ptr<Workload> virtio_split_arrivals(const Setup& setup) {
  return std::make_unique<ForwardArrivals<ArrivalsPort>>(setup, kBoth);
}
std::unique_ptr<Workload> virtio_packed_arrivals(const Setup& setup) {
  return std::make_unique<ForwardArrivals<ArrivalsPort>>(setup, kBoth | feature::kRingPacked);
}
std::unique_ptr<Workload> virtio_packed_forward(const Setup& setup) {
  return std::make_unique<VirtioForward>(setup, kBoth | feature::kRingPacked);
}
std::unique_ptr<Workload> virtio_packed_forward_mergeable(const Setup& setup) {
  return std::make_unique<VirtioForward>(setup, kBoth | feature::kRingPacked | feature::kMrgRxbuf);
}

}  // namespace pollux::bench
