// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "hw/vmware/vmxnet3/descriptors.hpp"
#include "hw/vmware/vmxnet3/ids.hpp"
#include "hw/vmware/vmxnet3/shared.hpp"
#include "pollux/device/device_model.hpp"
#include "pollux/laboratory.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/open.hpp"

namespace pollux::test {

namespace vmx = hw::vmxnet3;

/// Registers that answer as a vmxnet3 device's would during bring-up, and nothing more: no frame moves unless the test
/// says so. It is no model of the device, and judges nothing but what QEMU's cannot show.
class FakeVmxnet3 final : public DeviceModel {
 public:
  [[nodiscard]] PciIdentity identity() const override {
    return {.vendor = vmx::kVendorId,
            .device = vmx::kDeviceId,
            .subsystem_vendor = vmx::kVendorId,
            .subsystem_device = vmx::kDeviceId};
  }
  [[nodiscard]] std::size_t bar_size(unsigned index) const override {
    return index == vmx::kControlBar ? control_bytes : index == vmx::kQueueBar ? vmx::kBarBytes : 0;
  }
  [[nodiscard]] std::uint32_t read32(unsigned bar, std::uint32_t offset) noexcept override {
    if (removed) return ~std::uint32_t{0};
    if (bar != vmx::kControlBar) return 0;
    if (offset == vmx::VRRS::offset(0)) return revisions;
    if (offset == vmx::UVRS::offset(0)) return upt_versions;
    if (offset == vmx::CMD::offset(0)) return result_;
    return 0;
  }
  void write32(unsigned bar, std::uint32_t offset, std::uint32_t value) noexcept override {
    if (bar != vmx::kControlBar) return;
    if (offset == vmx::VRRS::offset(0)) chosen = value;
    if (offset == vmx::DSAL::offset(0)) shared_at_ = value;
    if (offset == vmx::DSAH::offset(0)) shared_at_ |= std::uint64_t{value} << 32;
    if (offset == vmx::ECR::offset(0)) acknowledged |= value;
    if (offset == vmx::CMD::offset(0)) result_ = execute(static_cast<vmx::Command>(value));
  }
  void set_dma(ModelDma* dma) noexcept override { dma_ = dma; }
  void reset() noexcept override {
    if (on_function_reset) on_function_reset();
  }
  void advance(Duration /*now*/) noexcept override {}
  [[nodiscard]] Duration next_event() const noexcept override { return Duration::max(); }
  [[nodiscard]] unsigned interrupt_vectors() const override { return vectors; }
  void on_interrupt(std::function<void(unsigned)> handler) override { interrupt = std::move(handler); }
  void on_transmit(WireHandler /*handler*/) override {}
  void receive(std::span<const std::byte> /*frame*/) noexcept override {}
  void set_carrier(bool /*present*/) noexcept override {}

  /// Memory of the driver's, at an address that it has told the device of.
  template <class T>
  [[nodiscard]] T* at(std::uint64_t iova, std::size_t count = 1) const {
    return dma_ == nullptr ? nullptr : reinterpret_cast<T*>(dma_->translate(iova, count * sizeof(T)));
  }
  /// nullptr while the device is not active.
  [[nodiscard]] vmx::DriverShared* shared() const {
    return shared_at_ == 0 ? nullptr : at<vmx::DriverShared>(shared_at_);
  }
  [[nodiscard]] vmx::TxQueueShared* tx() const { return at<vmx::TxQueueShared>(shared()->misc.queues); }
  [[nodiscard]] vmx::RxQueueShared* rx() const {
    return at<vmx::RxQueueShared>(shared()->misc.queues + shared()->misc.tx_queues * sizeof(vmx::TxQueueShared));
  }

  std::uint32_t revisions = 7;
  std::uint32_t upt_versions = 1;
  std::uint32_t chosen = 0;  ///< what the driver has written to VRRS
  std::size_t control_bytes = vmx::kBarBytes;
  std::uint32_t reset_result = 0;
  std::uint32_t activation_result = 0;
  bool removed = false;
  unsigned vectors = 0;
  std::uint32_t acknowledged = 0;           ///< events
  std::function<void(unsigned)> interrupt;  ///< raises one
  std::function<void()> on_reset;           ///< called at each reset by a command
  std::function<void()> on_function_reset;  ///< called at each other one

 private:
  [[nodiscard]] std::uint32_t execute(vmx::Command command) const noexcept {
    if (command == vmx::Command::activate) return activation_result;
    if (command == vmx::Command::reset && on_reset) on_reset();
    if (command == vmx::Command::reset) return reset_result;
    if (command == vmx::Command::get_link) return 1 | 10000U << 16;
    if (command == vmx::Command::get_permanent_mac_low) return 2;
    if (command == vmx::Command::get_permanent_mac_high) return 0x0100;
    return 0;
  }

  std::uint64_t shared_at_ = 0;
  std::uint32_t result_ = 0;
  ModelDma* dma_ = nullptr;
};

/// A Context that knows the device as `sim:0?card=fake-vmxnet3`, with a pool and a manual clock. `change` makes each
/// device another one before it is opened.
struct FakeVmxnet3Fixture {
  explicit FakeVmxnet3Fixture(std::function<void(FakeVmxnet3&)> change = {}) {
    EXPECT_TRUE(
        add_card_model(context, {.name = "fake-vmxnet3", .make = [this, change = std::move(change)](unsigned number) {
                                   auto made = std::make_unique<FakeVmxnet3>();
                                   if (change) change(*made);
                                   if (number == 0) device = made.get();  // the other end of the wire is one, too
                                   return made;
                                 }}));
  }
  [[nodiscard]] Settings settings() const {
    return {.rx = {{.pool = pool, .cache = cache, .ring = 64}}, .tx = {{.cache = cache, .ring = 64}}};
  }
  [[nodiscard]] Result<Port> start() { return open(context, "sim:0?card=fake-vmxnet3", settings()); }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  FakeVmxnet3* device = nullptr;
  Context context{{.clock = clock, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 28}};
  Mempool pool = *Mempool::create(context, {.count = 1024});
  MempoolCache cache{pool};
};

}  // namespace pollux::test
