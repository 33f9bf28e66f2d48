// SPDX-License-Identifier: BSD-3-Clause
// The cases with the minimal loop on virtqueues, and on vmxnet3's rings.
#include <algorithm>
#include <array>
#include <vector>

#include "fixture.hpp"
#include "minimal_virtio.hpp"
#include "minimal_vmxnet3.hpp"
#include "swap_macs.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

template <class Loop>
class Minimal : public Workload {
 public:
  explicit Minimal(const Setup& setup)
      : Workload(setup.frames(), setup.rounds()), setup_(setup), loop_(context_, setup) {}

 protected:
  void finish_transmits() {
    if (loop_.sender().finish_transmits() != (first_ ? 0 : operations())) give_up("the minimal loop did not send all");
    first_ = false;
  }
  void receive() {
    if (loop_.receiver().receive(operations(), setup_.frame) != operations()) give_up("buffers are missing");
  }

  Setup setup_;
  Context context_{logging_options()};
  Loop loop_;
  bool first_ = true;
};

template <class Loop>
class Forward final : public Minimal<Loop> {
 public:
  using Minimal<Loop>::Minimal;
  void prepare() override {
    this->finish_transmits();
    this->receive();
  }
  void run() override {
    std::array<MinimalBuffer*, Setup::kMaxBurst> buffers{};
    const std::uint32_t limit = this->setup_.limit();
    for (std::uint32_t done = 0; done < this->operations(); done += limit) {
      const std::uint32_t count = this->loop_.rx_burst(buffers.data(), limit);
      for (std::uint32_t i = 0; i < count; ++i) swap_macs(this->loop_.frame(buffers[i]));
      this->loop_.tx_burst(buffers.data(), count);
    }
  }
};

template <class Loop>
class Receive final : public Minimal<Loop> {
 public:
  explicit Receive(const Setup& setup) : Minimal<Loop>(setup), buffers_(setup.frames() + Setup::kMaxBurst) {}
  void prepare() override {
    for (; received_ != 0; --received_) this->loop_.give(buffers_[received_ - 1]);
    this->receive();
  }
  void run() override {
    const std::uint32_t limit = this->setup_.limit();
    for (std::uint32_t done = 0; done < this->operations(); done += limit) {
      received_ += this->loop_.rx_burst(buffers_.data() + received_, limit);
    }
  }

 private:
  std::vector<MinimalBuffer*> buffers_;
  std::uint32_t received_ = 0;
};

template <class Loop>
class Transmit final : public Minimal<Loop> {
 public:
  explicit Transmit(const Setup& setup) : Minimal<Loop>(setup), buffers_(setup.frames()) {}
  void prepare() override {
    this->finish_transmits();
    for (MinimalBuffer*& buffer : buffers_) {
      buffer = this->loop_.take();
      buffer->length = this->setup_.frame;
    }
  }
  void run() override {
    const std::uint32_t burst = this->setup_.burst;
    for (std::uint32_t done = 0; done < this->operations(); done += burst) {
      this->loop_.tx_burst(buffers_.data() + done, std::min(burst, this->operations() - done));
    }
  }

 private:
  std::vector<MinimalBuffer*> buffers_;
};

using Split = MinimalVirtio<false>;
using Packed = MinimalVirtio<true>;

}  // namespace

std::unique_ptr<Workload> minimal_split_forward(const Setup& setup) { return std::make_unique<Forward<Split>>(setup); }
std::unique_ptr<Workload> minimal_split_receive(const Setup& setup) { return std::make_unique<Receive<Split>>(setup); }
std::unique_ptr<Workload> minimal_split_transmit(const Setup& setup) {
  return std::make_unique<Transmit<Split>>(setup);
}
std::unique_ptr<Workload> minimal_packed_forward(const Setup& setup) {
  return std::make_unique<Forward<Packed>>(setup);
}
std::unique_ptr<Workload> minimal_packed_receive(const Setup& setup) {
  return std::make_unique<Receive<Packed>>(setup);
}
std::unique_ptr<Workload> minimal_packed_transmit(const Setup& setup) {
  return std::make_unique<Transmit<Packed>>(setup);
}
std::unique_ptr<Workload> minimal_vmxnet3_forward(const Setup& setup) {
  return std::make_unique<Forward<MinimalVmxnet3>>(setup);
}
std::unique_ptr<Workload> minimal_vmxnet3_receive(const Setup& setup) {
  return std::make_unique<Receive<MinimalVmxnet3>>(setup);
}
std::unique_ptr<Workload> minimal_vmxnet3_transmit(const Setup& setup) {
  return std::make_unique<Transmit<MinimalVmxnet3>>(setup);
}

}  // namespace pollux::bench
