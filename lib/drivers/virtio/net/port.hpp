// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "drivers/paravirtual/port.hpp"
#include "drivers/virtio/net/card.hpp"
#include "drivers/virtio/net/commands.hpp"
#include "drivers/virtio/net/control_queue.hpp"
#include "drivers/virtio/queue/rx_queue.hpp"
#include "drivers/virtio/queue/tx_queue.hpp"
#include "pollux/device/device.hpp"
#include "pollux/net/register_dump.hpp"
#include "pollux/net/rx_filter.hpp"

namespace pollux::drivers::virtio {

/// What the driver finds out about a device when it opens it.
struct DeviceFacts {
  Features features = 0;
  NetConfig config;
  std::uint16_t pairs = 1;     ///< that the driver may use
  std::uint32_t max_ring = 0;  ///< descriptors of the smallest queue
  std::uint16_t control = 0;   ///< index of the control queue
};

/// What of Settings a port of the device has.
[[nodiscard]] SettingSet supported_settings(const Device& device, Features features);

/// Whether a queue's ring has buffers for the longest frame that a device may leave unsegmented.
[[nodiscard]] bool holds_superframes(const PlacedRxQueue& queue) noexcept;

/// A port of a virtio network device. Every start begins with a reset of the device, and ends with its receive rings.
class VirtioNetPort final : public paravirtual::ParavirtualPort {
 public:
  /// Brings the device up. Errors: see probe.
  [[nodiscard]] static Result<std::unique_ptr<PortDriver>> open(const std::shared_ptr<ContextState>& context,
                                                                std::unique_ptr<Device> device);

  [[nodiscard]] MacAddress permanent_mac() const override { return facts_.config.mac; }

  [[nodiscard]] Result<void> start() override;
  [[nodiscard]] Result<void> halt() override;

  [[nodiscard]] Result<void> check(const PlacedSettings& from, PlacedSettings& to) override;
  [[nodiscard]] Result<void> apply(const PlacedSettings* from, const PlacedSettings& to) override;
  [[nodiscard]] Link link() override;
  void append_counters(std::vector<Counter>& counters) override;
  [[nodiscard]] Result<Duration> service() override;

  [[nodiscard]] Result<void> attach(std::unique_ptr<Device> device) override;
  [[nodiscard]] bool make_harmless() override;
  [[nodiscard]] Result<void> release(bool failed) override;

 private:
  VirtioNetPort(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device, VirtioNetCard card,
                const DeviceFacts& facts, std::uint16_t index);

  /// Whether a receive queue holds the longest frame that the device may pass on. Errors: invalid_argument, bad_state.
  [[nodiscard]] Result<void> check_ring(std::size_t index, const PlacedRxQueue& queue) const;
  [[nodiscard]] Commands commands() noexcept { return {card_, control_}; }
  [[nodiscard]] std::size_t queue_bytes(QueueId queue, const PlacedQueues& config) const override;
  void set_up_queue(QueueId queue, const PlacedQueues& config, paravirtual::QueueMemory memory) override;
  [[nodiscard]] std::uint32_t buffers_of(const PlacedSettings& settings, std::uint16_t queue) const override {
    return settings.queues.rx[queue].ring;
  }
  /// The features that this start leaves out of those that the device offers.
  [[nodiscard]] Features refused() const noexcept;
  void use_vectors();
  [[nodiscard]] Result<void> enable_queues();
  [[nodiscard]] Result<void> enable_one(QueueId queue);
  [[nodiscard]] Result<void> apply_filters(const PlacedSettings* from, const PlacedSettings& to);
  [[nodiscard]] Result<void> apply_spreading(const PlacedSettings* from, const PlacedSettings& to);
  /// Limits the interrupts of that queue.
  [[nodiscard]] Result<void> moderate(const Settings& settings, std::uint16_t queue);
  /// Whether the device can reset one queue (RING_RESET).
  [[nodiscard]] bool resets_queues() const noexcept;

  [[nodiscard]] Result<void> prepare(QueueId queue, const PlacedSettings& settings, bool running) override;
  [[nodiscard]] Result<void> halt_queue(QueueId queue) override;
  [[nodiscard]] Result<void> start_queue(QueueId queue) override;

  [[nodiscard]] std::vector<RegisterValue> registers() override;

  VirtioNetCard card_;
  DeviceFacts facts_;
  ControlQueue control_;
  RxFilter filter_;
  VlansInSoftware vlans_;
  std::deque<VirtioRxQueue> rx_;
  std::deque<VirtioTxQueue> tx_;
  std::uint64_t announcements_ = 0;
};

}  // namespace pollux::drivers::virtio
