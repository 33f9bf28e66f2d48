// SPDX-License-Identifier: BSD-3-Clause
// The queues of the vmxnet3 driver on a faked device.
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "do_not_optimize.hpp"
#include "drivers/vmware/vmxnet3/rx_queue.hpp"
#include "drivers/vmware/vmxnet3/tx_queue.hpp"
#include "fixture.hpp"
#include "mem/context_state.hpp"
#include "swap_macs.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

namespace driver = drivers::vmxnet3;
namespace reg = hw::vmxnet3;

constexpr std::uint32_t kMaxFrames = 4096;
constexpr std::array<std::uint8_t, 14> kStart = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};

/// What both directions share.
struct Shared {
  explicit Shared(const Setup& setup)
      : pool(need(Mempool::create(context, {.count = setup.pool, .data_room = Setup::kBuffer}))),
        cache(pool, MempoolCache::kMaxCapacity) {
    shuffle(pool);
  }
  [[nodiscard]] driver::DmaArea area(std::size_t bytes) {
    return need(driver::allocate_area(*context.state(), bytes, -1, "bench"));
  }

  Context context{logging_options()};
  Mempool pool;
  MempoolCache cache;
};

/// The device's side of a ring: it works outside the timed part, in order.
class FakedRing {
 public:
  FakedRing(const driver::DmaArea& memory, std::uint32_t size, std::uint64_t generation, std::size_t completions,
            std::uint32_t completions_size)
      : memory_(memory),
        size_(size),
        generation_(generation),
        completions_(memory.at<reg::Completion>(completions)),
        completions_size_(completions_size) {}

  /// The next descriptor that is the device's; nullptr if there is none.
  [[nodiscard]] const reg::Descriptor* take() {
    const reg::Descriptor& entry = memory_.at<reg::Descriptor>(0)[next_ % size_];
    if (((entry.word & generation_) != 0) != ((next_ & size_) == 0)) return nullptr;
    ++next_;
    return &entry;
  }
  /// Completes the descriptor that was taken last.
  void complete(std::uint64_t low, std::uint64_t high) {
    const bool first_lap = (done_ & completions_size_) == 0;
    completions_[done_++ % completions_size_] = {low | (next_ - 1) % size_,
                                                 high | (first_lap ? reg::kCompletionGeneration : 0)};
  }
  [[nodiscard]] std::uint8_t* at(std::uint64_t iova) const {
    return reinterpret_cast<std::uint8_t*>(memory_.address) + static_cast<std::ptrdiff_t>(iova - memory_.iova);
  }

 private:
  driver::DmaArea memory_;
  std::uint32_t size_;
  std::uint64_t generation_;
  reg::Completion* completions_;
  std::uint32_t completions_size_;
  std::uint32_t next_ = 0;
  std::uint32_t done_ = 0;
};

class Receiver {
 public:
  Receiver(Shared& shared, const Setup& setup)
      : memory_(shared.area(driver::rx_bytes(setup.ring))),
        device_(memory_, setup.ring, reg::rx::kGeneration, 2 * setup.ring * sizeof(reg::Descriptor), 2 * setup.ring),
        setup_(setup) {
    filter_.set_promiscuous(true);
    queue_.setup({.memory = memory_,
                  .size = setup.ring,
                  .buffer_bytes = Setup::kBuffer,
                  .index = 0,
                  .queues = 1,
                  .pool = shared.pool.core(),
                  .cache = shared.cache.core(),
                  .port = 0});
    need(queue_.fill(false));
    queue_.describe(of_device_, Bar(registers_.data(), registers_.size()), 1);
    queue_.open();
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  ~Receiver() {
    queue_.drain(DrainReason::stopped);
    queue_.retire();
  }
  void receive() {
    for (std::uint32_t i = 0; i < setup_.frames(); ++i) {
      const reg::Descriptor* const buffer = device_.take();
      if (buffer == nullptr) give_up("buffers are missing");
      std::uint8_t* const frame = device_.at(buffer->address);
      std::memcpy(frame, kStart.data(), kStart.size());
      std::memset(frame + kStart.size(), 0, setup_.frame - kStart.size());
      device_.complete(reg::rx::kStartOfPacket | reg::rx::kEndOfPacket | reg::rx::kNotChecked, setup_.frame);
    }
  }
  [[nodiscard]] RxQueue& queue() { return queue_; }

 private:
  driver::DmaArea memory_;
  FakedRing device_;
  Setup setup_;
  alignas(64) std::array<std::uint8_t, 4096> registers_{};
  reg::RxQueueShared of_device_{};
  RxFilter filter_;
  driver::VlansInSoftware vlans_;
  driver::Vmxnet3RxQueue queue_{filter_, false, vlans_};
};

class Sender {
 public:
  Sender(Shared& shared, const Setup& setup)
      : memory_(shared.area(driver::tx_bytes(setup.ring))),
        device_(memory_, setup.ring, reg::tx::kGeneration, setup.ring * sizeof(reg::Descriptor), setup.ring) {
    queue_.setup({.memory = memory_,
                  .size = setup.ring,
                  .limits = {.min_frame = 14, .max_frame = 1518, .offloads = 0},
                  .cache = shared.cache.core(),
                  .context = shared.context.state()});
    queue_.describe(of_device_, Bar(registers_.data(), registers_.size()), 0, 1);
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
    std::uint32_t sent = 0;
    for (; device_.take() != nullptr; ++sent) device_.complete(0, 0);
    if (!first_ && sent != expected) give_up("the driver did not send all frames");
    first_ = false;
  }
  [[nodiscard]] TxQueue& queue() { return queue_; }

 private:
  driver::DmaArea memory_;
  FakedRing device_;
  alignas(64) std::array<std::uint8_t, 4096> registers_{};
  reg::TxQueueShared of_device_{};
  driver::Vmxnet3TxQueue queue_;
  bool first_ = true;
};

class Vmxnet3Receive final : public Workload {
 public:
  explicit Vmxnet3Receive(const Setup& setup)
      : Workload(setup.frames(), setup.rounds()), shared_(setup), receiver_(shared_, setup), limit_(setup.limit()) {}
  ~Vmxnet3Receive() override { burst_.drop(measured_, shared_.cache); }
  void prepare() override {
    if (!first_ && burst_.size() != operations()) give_up("the driver did not deliver what had arrived");
    first_ = false;
    burst_.drop(measured_, shared_.cache);
    receiver_.receive();
  }
  void run() override {
    for (std::uint32_t done = 0; done < operations(); done += limit_) receiver_.queue().rx_burst(burst_, limit_);
  }

 private:
  Shared shared_;
  Receiver receiver_;
  std::uint32_t limit_;
  bool first_ = true;
  DropCounter measured_{"measured"};
  Burst<kMaxFrames> burst_;
};

class Vmxnet3Transmit final : public Workload {
 public:
  explicit Vmxnet3Transmit(const Setup& setup)
      : Workload(setup.frames(), setup.rounds()),
        shared_(setup),
        sender_(shared_, setup),
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
    for (Burst<Setup::kMaxBurst>& burst : bursts_) sender_.queue().tx_burst(burst);
  }

 private:
  Shared shared_;
  Sender sender_;
  Setup setup_;
  std::vector<Burst<Setup::kMaxBurst>> bursts_;
};

class Vmxnet3Forward final : public Workload {
 public:
  explicit Vmxnet3Forward(const Setup& setup)
      : Workload(setup.frames(), setup.rounds()),
        shared_(setup),
        receiver_(shared_, setup),
        sender_(shared_, setup),
        limit_(setup.limit()) {}
  void prepare() override {
    sender_.finish(operations());
    receiver_.receive();
  }
  void run() override {
    Burst<Setup::kMaxBurst> burst;
    for (std::uint32_t done = 0; done < operations(); done += limit_) {
      receiver_.queue().rx_burst(burst, limit_);
      for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
      sender_.queue().tx_burst(burst);
    }
  }

 private:
  Shared shared_;
  Receiver receiver_;
  Sender sender_;
  std::uint32_t limit_;
};

}  // namespace

std::unique_ptr<Workload> vmxnet3_receive(const Setup& setup) { return std::make_unique<Vmxnet3Receive>(setup); }
std::unique_ptr<Workload> vmxnet3_transmit(const Setup& setup) { return std::make_unique<Vmxnet3Transmit>(setup); }
std::unique_ptr<Workload> vmxnet3_forward(const Setup& setup) { return std::make_unique<Vmxnet3Forward>(setup); }

}  // namespace pollux::bench
