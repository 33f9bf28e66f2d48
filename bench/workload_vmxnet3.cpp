// SPDX-License-Identifier: BSD-3-Clause
// The queues of the vmxnet3 driver on a faked device.
#include <array>

#include "drivers/vmware/vmxnet3/rx_queue.hpp"
#include "drivers/vmware/vmxnet3/tx_queue.hpp"
#include "faked_vmxnet3.hpp"
#include "queue_workloads.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

namespace driver = drivers::vmxnet3;
namespace reg = hw::vmxnet3;

/// The memory of a queue, and the registers that its bursts write.
class Ring {
 public:
  Ring(QueuePool& shared, std::size_t bytes)
      : memory_(need(drivers::paravirtual::allocate_queue_memory(*shared.context.state(), bytes, -1, "bench"))) {}
  [[nodiscard]] const driver::QueueMemory& memory() const { return memory_; }
  [[nodiscard]] Bar registers() { return {registers_.data(), registers_.size()}; }
  /// `before`: descriptors in front of the completions.
  [[nodiscard]] FakedVmxnet3Queue device(const Setup& setup, std::uint32_t before) const {
    FakedVmxnet3Queue device({.descriptors = memory_.at<reg::Descriptor>(0),
                              .completions = memory_.at<reg::Completion>(before * sizeof(reg::Descriptor)),
                              .size = setup.ring,
                              .completions_size = before,
                              .delta = reinterpret_cast<std::uintptr_t>(memory_.address) - memory_.iova});
    device.set_cold(setup.cold);
    return device;
  }

 private:
  driver::QueueMemory memory_;
  alignas(64) std::array<std::uint8_t, 4096> registers_{};
};

class Receiver : public QueueEnd<FakedVmxnet3Queue> {
 public:
  Receiver(QueuePool& shared, const Setup& setup) : ring_(shared, driver::rx_bytes(setup.ring)) {
    device_ = ring_.device(setup, 2 * setup.ring);
    filter_.set_promiscuous(true);
    queue_.setup({.memory = ring_.memory(),
                  .size = setup.ring,
                  .buffer_bytes = Setup::kBuffer,
                  .index = 0,
                  .queues = 1,
                  .pool = shared.pool.core(),
                  .cache = shared.cache.core(),
                  .port = 0});
    need(queue_.fill(setup.ring, {}));
    queue_.describe(of_device_, ring_.registers(), 1);
    queue_.open();
  }
  ~Receiver() {
    queue_.drain(DrainReason::stopped, {});
    queue_.retire();
  }
  [[nodiscard]] RxQueue& queue() { return queue_; }

 private:
  Ring ring_;
  reg::RxQueueShared of_device_{};
  RxFilter filter_;
  driver::VlansInSoftware vlans_;
  driver::Vmxnet3RxQueue queue_{filter_, false, vlans_};
};

class Sender : public QueueEnd<FakedVmxnet3Queue> {
 public:
  Sender(QueuePool& shared, const Setup& setup) : ring_(shared, driver::tx_bytes(setup.ring)) {
    device_ = ring_.device(setup, setup.ring);
    queue_.setup({.memory = ring_.memory(),
                  .size = setup.ring,
                  .limits = {.min_frame = 14, .max_frame = 1518, .offloads = 0},
                  .cache = shared.cache.core(),
                  .context = shared.context.state()});
    queue_.describe(of_device_, ring_.registers(), 0, 1);
    queue_.open();
  }
  ~Sender() {
    queue_.drain(DrainReason::stopped);
    queue_.retire();
  }
  [[nodiscard]] TxQueue& queue() { return queue_; }

 private:
  Ring ring_;
  reg::TxQueueShared of_device_{};
  driver::Vmxnet3TxQueue queue_;
};

}  // namespace

std::unique_ptr<Workload> vmxnet3_receive(const Setup& setup) {
  return std::make_unique<QueueReceive<Receiver>>(setup);
}
std::unique_ptr<Workload> vmxnet3_transmit(const Setup& setup) {
  return std::make_unique<QueueTransmit<Sender>>(setup);
}
std::unique_ptr<Workload> vmxnet3_forward(const Setup& setup) {
  return std::make_unique<QueueForward<Receiver, Sender>>(setup);
}

}  // namespace pollux::bench
