// SPDX-License-Identifier: BSD-3-Clause
// The queues of the virtio driver, with the device's side played by the program.
#include <cstring>
#include <vector>

#include "do_not_optimize.hpp"
#include "drivers/virtio/queue/rx_queue.hpp"
#include "drivers/virtio/queue/tx_queue.hpp"
#include "fixture.hpp"
#include "hw/virtio/net.hpp"
#include "mem/context_state.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

namespace driver = drivers::virtio;
namespace feature = hw::virtio::feature;

constexpr std::uint32_t kMaxFrames = 4096;
constexpr hw::virtio::Features kBoth = feature::kEventIdx | feature::kIndirectDesc;

/// What both directions need. The device asks for no doorbells.
class Ring {
 public:
  Ring(hw::virtio::Features features, const Setup& setup, std::size_t extra)
      : pool_(need(Mempool::create(context_, {.count = setup.pool, .data_room = Setup::kBuffer}))),
        cache_(pool_, MempoolCache::kMaxCapacity),
        memory_(need(driver::allocate_virtqueue(*context_.state(), features, setup.ring, extra, -1, "bench"))),
        packed_((features & feature::kRingPacked) != 0) {
    shuffle(pool_);
  }

  [[nodiscard]] driver::Notifier notifier() {
    return {Bar(reinterpret_cast<volatile std::uint8_t*>(&doorbell_), sizeof doorbell_), 0, 0, false};
  }
  void ask_for_no_doorbells() const {
    if (packed_) memory_.device.at<hw::virtio::EventSuppression>()->flags = hw::virtio::kEventDisable;
  }
  /// Uses the next `count` entries, in order.
  void use(std::uint32_t count, std::uint32_t length) {
    const std::uint32_t mask = memory_.size - 1;
    for (; count != 0; --count, ++used_) {
      const std::uint32_t slot = used_ & mask;
      if (packed_) {
        const driver::PackedRing ring(memory_, {});
        *ring.word_at(slot) = driver::PackedRing::word(length, slot, hw::virtio::packed_used(ring.wrap(used_)));
      } else {
        used_ring()[slot] = {slot, length};
      }
    }
    if (!packed_) memory_.device.at<hw::virtio::UsedRing>()->index = static_cast<std::uint16_t>(used_);
  }
  [[nodiscard]] MempoolCache& cache() { return cache_; }
  [[nodiscard]] Mempool& pool() { return pool_; }
  [[nodiscard]] const driver::Virtqueue& memory() const { return memory_; }
  [[nodiscard]] Context& context() { return context_; }

 private:
  [[nodiscard]] hw::virtio::UsedElement* used_ring() const {
    return memory_.device.at<hw::virtio::UsedElement>(sizeof(hw::virtio::UsedRing));
  }

  Context context_{logging_options()};
  Mempool pool_;
  MempoolCache cache_;
  driver::Virtqueue memory_;
  bool packed_;
  std::uint16_t doorbell_ = 0;
  std::uint32_t used_ = 0;
};

class VirtioReceive final : public Workload {
 public:
  VirtioReceive(const Setup& setup, hw::virtio::Features features)
      : Workload(setup.frames(), setup.rounds()), ring_(features, setup, 0), setup_(setup) {
    filter_.set_promiscuous(true);
    std::vector<MbufPtr> all;
    while (MbufPtr mbuf = ring_.pool().allocate()) all.push_back(std::move(mbuf));
    for (const MbufPtr& mbuf : all) {
      const hw::virtio::NetHeader header{.num_buffers = 1};
      std::memcpy(mbuf->data() - sizeof header, &header, sizeof header);
      std::memset(mbuf->data(), 2, setup.frame);
    }
    all.clear();
    queue_.setup({.memory = ring_.memory(),
                  .features = features,
                  .buffer_bytes = Setup::kBuffer,
                  .pool = ring_.pool().core(),
                  .cache = ring_.cache().core(),
                  .port = 0});
    need(queue_.fill());
    queue_.use_notifier(ring_.notifier());
    queue_.publish_all();
    ring_.ask_for_no_doorbells();
    queue_.open();
  }
  ~VirtioReceive() override {
    burst_.drop(measured_, ring_.cache());
    queue_.drain(DrainReason::stopped);
    queue_.retire();
  }
  void prepare() override {
    if (!first_ && burst_.size() != operations()) give_up("the driver did not deliver what had arrived");
    first_ = false;
    burst_.drop(measured_, ring_.cache());
    ring_.use(operations(), static_cast<std::uint32_t>(sizeof(hw::virtio::NetHeader)) + setup_.frame);
  }
  void run() override {
    RxQueue& rx = queue_;
    for (std::uint32_t done = 0; done < operations(); done += setup_.limit()) rx.rx_burst(burst_, setup_.limit());
  }

 private:
  Ring ring_;
  Setup setup_;
  RxFilter filter_;
  driver::RxQueue queue_{filter_, false};
  bool first_ = true;
  DropCounter measured_{"measured"};
  Burst<kMaxFrames> burst_;
};

class VirtioTransmit final : public Workload {
 public:
  VirtioTransmit(const Setup& setup, hw::virtio::Features features)
      : Workload(setup.frames(), setup.rounds()),
        ring_(features, setup, driver::tx_extra_bytes(features, setup.ring)),
        setup_(setup),
        bursts_((setup.frames() + setup.burst - 1) / setup.burst) {
    queue_.setup({.memory = ring_.memory(),
                  .features = features,
                  .limits = {.min_frame = 14, .max_frame = 1518, .offloads = 0},
                  .cache = ring_.cache().core(),
                  .context = ring_.context().state()});
    queue_.use_notifier(ring_.notifier());
    ring_.ask_for_no_doorbells();
    queue_.open();
  }
  ~VirtioTransmit() override {
    queue_.drain(DrainReason::stopped);
    queue_.retire();
  }
  void prepare() override {
    if (!first_ && queue_.in_flight() != operations()) give_up("the driver did not send all frames");
    if (!first_) ring_.use(operations(), 0);
    first_ = false;
    std::uint32_t left = operations();
    for (Burst<Setup::kMaxBurst>& burst : bursts_) {
      const std::uint32_t count = std::min(left, setup_.burst);
      if (!burst.fill(ring_.cache(), count)) give_up("the pool is too small");
      for (Mbuf& mbuf : burst) do_not_optimize(mbuf.append(setup_.frame));
      left -= count;
    }
  }
  void run() override {
    TxQueue& tx = queue_;
    for (Burst<Setup::kMaxBurst>& burst : bursts_) tx.tx_burst(burst);
  }

 private:
  Ring ring_;
  Setup setup_;
  driver::TxQueue queue_;
  bool first_ = true;
  std::vector<Burst<Setup::kMaxBurst>> bursts_;
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

}  // namespace pollux::bench
