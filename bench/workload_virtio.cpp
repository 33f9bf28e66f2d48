// SPDX-License-Identifier: BSD-3-Clause
// The queues of the virtio driver on a faked device.
#include <algorithm>
#include <vector>

#include "do_not_optimize.hpp"
#include "drivers/virtio/queue/rx_queue.hpp"
#include "drivers/virtio/queue/tx_queue.hpp"
#include "faked_virtio.hpp"
#include "fixture.hpp"
#include "mem/context_state.hpp"
#include "swap_macs.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

namespace driver = drivers::virtio;
namespace feature = hw::virtio::feature;

constexpr std::uint32_t kMaxFrames = 4096;
constexpr hw::virtio::Features kBoth = feature::kEventIdx | feature::kIndirectDesc;

/// What both directions share.
struct Shared {
  explicit Shared(const Setup& setup)
      : pool(need(Mempool::create(context, {.count = setup.pool, .data_room = Setup::kBuffer}))),
        cache(pool, MempoolCache::kMaxCapacity) {
    shuffle(pool);
  }

  Context context{logging_options()};
  Mempool pool;
  MempoolCache cache;
};

/// The memory of a queue, and the device's side of it.
class Ring {
 public:
  Ring(Shared& shared, hw::virtio::Features features, const Setup& setup, std::size_t extra)
      : memory_(need(driver::allocate_virtqueue(*shared.context.state(), features, setup.ring, extra, -1, "bench"))),
        device_({.descriptors = memory_.descriptors.address,
                 .driver = memory_.driver.address,
                 .device = memory_.device.address,
                 .size = memory_.size,
                 .delta = reinterpret_cast<std::uintptr_t>(memory_.descriptors.address) - memory_.descriptors.iova},
                (features & feature::kRingPacked) != 0) {
    device_.set_cold(setup.cold);
  }
  [[nodiscard]] driver::Notifier notifier() {
    return {Bar(reinterpret_cast<volatile std::uint8_t*>(&doorbell_), sizeof doorbell_), 0, 0, false};
  }
  [[nodiscard]] const driver::Virtqueue& memory() const { return memory_; }
  [[nodiscard]] FakedVirtqueue& device() { return device_; }

 private:
  driver::Virtqueue memory_;
  FakedVirtqueue device_;
  std::uint16_t doorbell_ = 0;
};

class Receiver {
 public:
  Receiver(Shared& shared, const Setup& setup, hw::virtio::Features features)
      : ring_(shared, features, setup, 0), setup_(setup) {
    filter_.set_promiscuous(true);
    queue_.setup({.memory = ring_.memory(),
                  .features = features,
                  .buffer_bytes = Setup::kBuffer,
                  .pool = shared.pool.core(),
                  .cache = shared.cache.core(),
                  .port = 0});
    need(queue_.fill());
    queue_.use_notifier(ring_.notifier());
    queue_.publish_all();
    ring_.device().ask_for_no_doorbells();
    queue_.open();
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  ~Receiver() {
    queue_.drain(DrainReason::stopped);
    queue_.retire();
  }
  void receive() {
    if (ring_.device().receive(setup_.frames(), setup_.frame) != setup_.frames()) give_up("buffers are missing");
  }
  [[nodiscard]] RxQueue& queue() { return queue_; }

 private:
  Ring ring_;
  Setup setup_;
  RxFilter filter_;
  driver::VirtioRxQueue queue_{filter_, false};
};

class Sender {
 public:
  Sender(Shared& shared, const Setup& setup, hw::virtio::Features features)
      : ring_(shared, features, setup, driver::tx_extra_bytes(features, setup.ring)) {
    queue_.setup({.memory = ring_.memory(),
                  .features = features,
                  .limits = {.min_frame = 14, .max_frame = 1518, .offloads = 0},
                  .cache = shared.cache.core(),
                  .context = shared.context.state()});
    queue_.use_notifier(ring_.notifier());
    ring_.device().ask_for_no_doorbells();
    queue_.open();
  }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  ~Sender() {
    queue_.drain(DrainReason::stopped);
    queue_.retire();
  }
  /// Sends what the last round has left, unless there was none.
  void finish(std::uint32_t expected) {
    const std::uint32_t sent = ring_.device().finish_transmits();
    if (!first_ && sent != expected) give_up("the driver did not send all frames");
    first_ = false;
  }
  [[nodiscard]] TxQueue& queue() { return queue_; }

 private:
  Ring ring_;
  driver::VirtioTxQueue queue_;
  bool first_ = true;
};

class VirtioReceive final : public Workload {
 public:
  VirtioReceive(const Setup& setup, hw::virtio::Features features)
      : Workload(setup.frames(), setup.rounds()),
        shared_(setup),
        receiver_(shared_, setup, features),
        limit_(setup.limit()) {}
  ~VirtioReceive() override { burst_.drop(measured_, shared_.cache); }
  void prepare() override {
    if (!first_ && burst_.size() != operations()) give_up("the driver did not deliver what had arrived");
    first_ = false;
    burst_.drop(measured_, shared_.cache);
    receiver_.receive();
  }
  void run() override {
    RxQueue& rx = receiver_.queue();
    for (std::uint32_t done = 0; done < operations(); done += limit_) rx.rx_burst(burst_, limit_);
  }

 private:
  Shared shared_;
  Receiver receiver_;
  std::uint32_t limit_;
  bool first_ = true;
  DropCounter measured_{"measured"};
  Burst<kMaxFrames> burst_;
};

class VirtioTransmit final : public Workload {
 public:
  VirtioTransmit(const Setup& setup, hw::virtio::Features features)
      : Workload(setup.frames(), setup.rounds()),
        shared_(setup),
        sender_(shared_, setup, features),
        setup_(setup),
        bursts_((setup.frames() + setup.burst - 1) / setup.burst) {}
  void prepare() override {
    sender_.finish(operations());
    std::uint32_t left = operations();
    for (Burst<Setup::kMaxBurst>& burst : bursts_) {
      const std::uint32_t count = std::min(left, setup_.burst);
      if (!burst.fill(shared_.cache, count)) give_up("the pool is too small");
      for (Mbuf& mbuf : burst) do_not_optimize(mbuf.append(setup_.frame));
      left -= count;
    }
  }
  void run() override {
    TxQueue& tx = sender_.queue();
    for (Burst<Setup::kMaxBurst>& burst : bursts_) tx.tx_burst(burst);
  }

 private:
  Shared shared_;
  Sender sender_;
  Setup setup_;
  std::vector<Burst<Setup::kMaxBurst>> bursts_;
};

class VirtioForward final : public Workload {
 public:
  VirtioForward(const Setup& setup, hw::virtio::Features features)
      : Workload(setup.frames(), setup.rounds()),
        shared_(setup),
        receiver_(shared_, setup, features),
        sender_(shared_, setup, features),
        limit_(setup.limit()) {}
  void prepare() override {
    sender_.finish(operations());
    receiver_.receive();
  }
  void run() override {
    RxQueue& rx = receiver_.queue();
    TxQueue& tx = sender_.queue();
    Burst<Setup::kMaxBurst> burst;
    for (std::uint32_t done = 0; done < operations(); done += limit_) {
      rx.rx_burst(burst, limit_);
      for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
      tx.tx_burst(burst);
    }
  }

 private:
  Shared shared_;
  Receiver receiver_;
  Sender sender_;
  std::uint32_t limit_;
};

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
std::unique_ptr<Workload> virtio_packed_forward(const Setup& setup) {
  return std::make_unique<VirtioForward>(setup, kBoth | feature::kRingPacked);
}
std::unique_ptr<Workload> virtio_packed_forward_mergeable(const Setup& setup) {
  return std::make_unique<VirtioForward>(setup, kBoth | feature::kRingPacked | feature::kMrgRxbuf);
}

}  // namespace pollux::bench
