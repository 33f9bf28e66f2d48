// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "drivers/virtio/net/card.hpp"
#include "drivers/virtio/net/commands.hpp"
#include "drivers/virtio/net/control_queue.hpp"
#include "drivers/virtio/queue/rx_queue.hpp"
#include "drivers/virtio/queue/tx_queue.hpp"
#include "net/tx_watch.hpp"
#include "pollux/device/device.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/queued_port.hpp"
#include "pollux/net/register_dump.hpp"
#include "pollux/net/rx_filter.hpp"
#include "pollux/net/transmit_watch.hpp"

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
class VirtioNetPort final : public QueuedPort, private RegisterDump, private Interrupts, private TransmitWatch {
 public:
  /// Brings the device up. Errors: see probe.
  [[nodiscard]] static Result<std::unique_ptr<PortDriver>> open(const std::shared_ptr<ContextState>& context,
                                                                std::unique_ptr<Device> device);

  [[nodiscard]] MacAddress permanent_mac() const override { return facts_.config.mac; }

  [[nodiscard]] Result<void> configure(const PlacedSettings& settings) override;
  [[nodiscard]] Result<void> fill() override;
  [[nodiscard]] Result<void> start() override;
  [[nodiscard]] Result<void> halt() override;
  std::uint32_t drain(DrainReason reason) noexcept override;

  [[nodiscard]] Result<void> check(const PlacedSettings& from, PlacedSettings& to) override;
  [[nodiscard]] Result<void> apply(const PlacedSettings* from, const PlacedSettings& to) override;
  [[nodiscard]] Link link() override;
  void append_counters(std::vector<Counter>& counters) override;
  [[nodiscard]] Result<Duration> service() override;
  [[nodiscard]] std::vector<int> events() const override;
  [[nodiscard]] std::span<const CapabilityEntry> capabilities() const noexcept override { return capabilities_; }

  [[nodiscard]] bool can_attach() const noexcept override { return true; }
  [[nodiscard]] Result<void> attach(std::unique_ptr<Device> device) override;
  [[nodiscard]] bool make_harmless() override;
  [[nodiscard]] Result<void> release(bool failed) override;

 private:
  /// What a restart of a queue has prepared.
  struct PreparedQueue {
    PlacedQueues config;
    Virtqueue memory;
    std::vector<Mbuf*> buffers = {};  // of a receive queue that runs: as many as `kept` lacks
    std::uint32_t kept = 0;           // of the old ring's buffers
  };

  VirtioNetPort(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device, VirtioNetCard card,
                const DeviceFacts& facts, std::uint16_t index);

  void list_capabilities();
  /// Whether a receive queue holds the longest frame that the device may pass on. Errors: invalid_argument, bad_state.
  [[nodiscard]] Result<void> check_ring(std::size_t index, const PlacedRxQueue& queue) const;
  [[nodiscard]] Commands commands() noexcept { return {card_, control_}; }
  [[nodiscard]] Result<Virtqueue> allocate_queue(QueueId queue, const PlacedQueues& config);
  void set_up_rx(std::uint16_t queue, const PlacedQueues& config, Virtqueue memory);
  void set_up_tx(std::uint16_t queue, const PlacedQueues& config, Virtqueue memory);
  /// The features that this start leaves out of those that the device offers.
  [[nodiscard]] Features refused() const noexcept;
  void enable_interrupts();
  void forget_vectors() noexcept;
  [[nodiscard]] unsigned vector_of(std::uint16_t queue) const noexcept;
  [[nodiscard]] Result<void> enable_queues();
  [[nodiscard]] Result<void> enable_one(QueueId queue);
  [[nodiscard]] Result<void> apply_filters(const PlacedSettings* from, const PlacedSettings& to);
  [[nodiscard]] Result<void> apply_spreading(const PlacedSettings* from, const PlacedSettings& to);
  /// Limits the interrupts of that queue.
  [[nodiscard]] Result<void> moderate(const Settings& settings, std::uint16_t queue);
  [[nodiscard]] Result<void> check_faults() const;
  /// Waits, for a limited time, until the device has sent what the queues from `begin` to before `end` have. Needs
  /// their gates closed.
  void wait_for_transmit(std::uint16_t begin, std::uint16_t end);
  /// Whether the device can reset one queue (RING_RESET).
  [[nodiscard]] bool resets_queues() const noexcept;
  void clear_others(QueueId queue) noexcept;

  [[nodiscard]] Result<void> prepare(QueueId queue, const PlacedSettings& settings, bool running) override;
  void discard() noexcept override;
  [[nodiscard]] Result<void> halt_queue(QueueId queue) override;
  void exchange(QueueId queue) noexcept override;
  [[nodiscard]] Result<void> start_queue(QueueId queue) override;

  [[nodiscard]] std::vector<RegisterValue> registers() override;
  [[nodiscard]] Report watch_transmit(Duration limit) override;
  [[nodiscard]] Result<std::vector<unsigned>> rx_vectors() override;

  std::vector<CapabilityEntry> capabilities_;
  std::unique_ptr<Device> device_;
  VirtioNetCard card_;
  DeviceFacts facts_;
  ControlQueue control_;
  RxFilter filter_;
  VlansInSoftware vlans_;
  std::deque<VirtioRxQueue> rx_;
  std::deque<VirtioTxQueue> tx_;
  std::optional<PreparedQueue> prepared_;
  unsigned vectors_ = 0;   // enabled
  int config_event_ = -1;  // of the vector for changes of the configuration
  std::uint64_t announcements_ = 0;
  bool dma_ended_ = true;  // false while DMA may be going on
  TxWatch tx_watch_;
};

}  // namespace pollux::drivers::virtio
