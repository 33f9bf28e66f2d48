// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "drivers/paravirtual/port.hpp"
#include "drivers/vmware/vmxnet3/card.hpp"
#include "drivers/vmware/vmxnet3/rx_queue.hpp"
#include "drivers/vmware/vmxnet3/tx_queue.hpp"
#include "pollux/net/register_dump.hpp"
#include "pollux/net/rx_filter.hpp"

namespace pollux::drivers::vmxnet3 {

/// What of Settings a port of the device has.
[[nodiscard]] SettingSet supported_settings() noexcept;

/// A port of a vmxnet3 device. Every start begins with a reset of the device. It cannot stop one queue: to restart one,
/// the device is reset and started with all.
class Vmxnet3Port final : public paravirtual::ParavirtualPort {
 public:
  /// Brings the device up, with its revision 1. Errors: not_supported (a device without that revision, or one that only
  /// passes through to a card), device_fault, device_removed, no_memory, and those of the device's own calls. The
  /// device is released on error.
  [[nodiscard]] static Result<std::unique_ptr<PortDriver>> open(const std::shared_ptr<ContextState>& context,
                                                                std::unique_ptr<Device> device);

  [[nodiscard]] MacAddress permanent_mac() const override { return permanent_mac_; }

  [[nodiscard]] Result<void> start() override;
  [[nodiscard]] Result<void> halt() override;

  [[nodiscard]] Result<void> check(const PlacedSettings& from, PlacedSettings& to) override;
  [[nodiscard]] Result<void> apply(const PlacedSettings* from, const PlacedSettings& to) override;
  [[nodiscard]] Link link() override;
  [[nodiscard]] Stats stats() override;
  void append_counters(std::vector<Counter>& counters) override;
  [[nodiscard]] Result<Duration> service() override;

  [[nodiscard]] Result<void> attach(std::unique_ptr<Device> device) override;
  [[nodiscard]] bool make_harmless() override;
  [[nodiscard]] Result<void> release(bool failed) override;

 private:
  Vmxnet3Port(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device, std::uint16_t index);

  [[nodiscard]] Result<void> bring_up_device(Device& device);
  [[nodiscard]] std::size_t queue_bytes(QueueId queue, const PlacedQueues& config) const override;
  void set_up_queue(QueueId queue, const PlacedQueues& config, QueueMemory memory) override;
  [[nodiscard]] std::uint32_t buffers_of(const PlacedSettings& settings, std::uint16_t queue) const override;
  void describe_queues();
  [[nodiscard]] Result<void> check_stopped() const;
  [[nodiscard]] Result<void> handle_events();
  void write_features(const PlacedSettings& settings) noexcept;
  void write_filters(const PlacedSettings& settings) noexcept;
  void write_rss(const PlacedSettings& settings) noexcept;
  /// The sum over all queues of what the device has counted.
  struct DeviceStats {
    reg::TxStats tx{};
    reg::RxStats rx{};
  };
  [[nodiscard]] DeviceStats read_stats() const noexcept;
  /// Resets the device, and starts it with the queues that are not stopped. Frames in rings are lost.
  [[nodiscard]] Result<void> restart_device();
  [[nodiscard]] Result<void> start_device();
  [[nodiscard]] bool is_stopped(QueueId queue) const noexcept;

  [[nodiscard]] Result<void> halt_queue(QueueId queue) override;
  [[nodiscard]] Result<void> start_queue(QueueId queue) override;

  [[nodiscard]] std::vector<RegisterValue> registers() override;

  Vmxnet3Card card_;
  SharedArea shared_;
  MacAddress permanent_mac_{};
  RxFilter filter_;
  VlansInSoftware vlans_;
  std::deque<Vmxnet3RxQueue> rx_;
  std::deque<Vmxnet3TxQueue> tx_;
  DeviceStats earlier_;                     // before the last start
  std::array<std::uint32_t, 2> stopped_{};  // bits of queues, by QueueDirection
  bool active_ = false;                     // the device has been activated
};

}  // namespace pollux::drivers::vmxnet3
