// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "drivers/paravirtual/port.hpp"
#include "hw/vmware/vmxnet3/descriptors.hpp"
#include "hw/vmware/vmxnet3/registers.hpp"
#include "hw/vmware/vmxnet3/shared.hpp"
#include "mem/context_state.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/net/link.hpp"

namespace pollux::drivers::vmxnet3 {

namespace reg = hw::vmxnet3;
using reg::Command;

using paravirtual::fail_removed;
using paravirtual::QueueMemory;

/// The most groups of the device's multicast table that the driver uses.
inline constexpr std::uint32_t kMaxMulticast = 512;

/// What driver and device share besides rings.
class SharedArea {
 public:
  [[nodiscard]] Result<void> allocate(ContextState& context, int numa_node, std::string_view port);
  /// Writes what never changes, and how many queues there are. All else is zero.
  void clear(std::uint8_t tx_queues, std::uint8_t rx_queues) noexcept;

  [[nodiscard]] explicit operator bool() const noexcept { return area_.address != nullptr; }
  [[nodiscard]] std::uint64_t iova() const noexcept { return area_.iova; }
  [[nodiscard]] reg::DriverShared& driver() const noexcept { return *area_.at<reg::DriverShared>(0); }
  [[nodiscard]] reg::TxQueueShared& tx(std::uint32_t queue) const noexcept {
    return area_.at<reg::TxQueueShared>(kQueues)[queue];
  }
  [[nodiscard]] reg::RxQueueShared& rx(std::uint32_t queue) const noexcept {
    return area_.at<reg::RxQueueShared>(kQueues)[driver().misc.tx_queues + queue];
  }
  [[nodiscard]] reg::RssConf& rss() const noexcept { return *area_.at<reg::RssConf>(kRss); }
  /// Rings without buffers, for a queue that is stopped.
  void hide(QueueId queue) const noexcept;
  [[nodiscard]] MacAddress* multicast() const noexcept { return area_.at<MacAddress>(kMulticast); }

 private:
  static constexpr std::size_t kQueues = 1024;
  static constexpr std::size_t kRss = kQueues + std::size_t{reg::kMaxTxQueues + reg::kMaxRxQueues} * 256;
  static constexpr std::size_t kMulticast = kRss + 256;
  static constexpr std::size_t kEmpty = kMulticast + std::size_t{kMaxMulticast} * 6;
  static constexpr std::size_t kBytes = kEmpty + std::size_t{2} * reg::kMinRing * sizeof(reg::Completion);
  QueueMemory area_;
};

/// The device as the steps of the driver see it. Must not outlive the Device.
struct Vmxnet3Card {
  reg::ControlRegisters regs;
  Bar queues;  ///< the other registers
  std::shared_ptr<ContextState> context;
  std::string name;  ///< the port's URI, for messages

  [[nodiscard]] Clock& clock() const noexcept { return context->clock(); }
  /// Executes a command. Returns its result.
  std::uint32_t command(Command command) const noexcept {
    send(command);
    return regs.read<reg::CMD>().raw();
  }
  /// The same for one that has none.
  void send(Command command) const noexcept {
    regs.write<reg::CMD>(reg::CMD::Value(static_cast<std::uint32_t>(command)));
  }
  void mask_vector(std::uint32_t vector, bool masked) const noexcept {
    queues.write32(reg::IMR::offset(vector), masked ? 1 : 0);
  }
};

/// Maps the registers, chooses revision 1 and resets the device. Errors: not_supported, device_fault, device_removed.
[[nodiscard]] Result<void> bring_up(Vmxnet3Card& card, Device& device);
/// Ends the device's use of memory. Errors: device_removed, timeout.
[[nodiscard]] Result<void> reset_device(const Vmxnet3Card& card);
/// Starts the device with what `shared` says. Errors: device_fault (it refuses that), device_removed.
[[nodiscard]] Result<void> activate(const Vmxnet3Card& card, const SharedArea& shared);

[[nodiscard]] MacAddress permanent_mac(const Vmxnet3Card& card) noexcept;
void write_mac(const Vmxnet3Card& card, const MacAddress& mac) noexcept;
[[nodiscard]] Link read_link(const Vmxnet3Card& card) noexcept;

/// Why the device has stopped a queue, by the number that it reports.
[[nodiscard]] std::string_view explain_stop(std::uint32_t error) noexcept;

}  // namespace pollux::drivers::vmxnet3
