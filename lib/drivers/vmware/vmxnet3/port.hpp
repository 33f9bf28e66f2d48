// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "drivers/vmware/vmxnet3/card.hpp"
#include "drivers/vmware/vmxnet3/rx_queue.hpp"
#include "drivers/vmware/vmxnet3/tx_queue.hpp"
#include "net/tx_watch.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/queued_port.hpp"
#include "pollux/net/register_dump.hpp"
#include "pollux/net/rx_filter.hpp"
#include "pollux/net/transmit_watch.hpp"

namespace pollux::drivers::vmxnet3 {

/// What of Settings a port of the device has.
[[nodiscard]] SettingSet supported_settings() noexcept;

/// A port of a vmxnet3 device. Every start begins with a reset of the device. It cannot stop one queue: to restart one,
/// the device is reset and started with all.
class Vmxnet3Port final : public QueuedPort, private RegisterDump, private Interrupts, private TransmitWatch {
 public:
  /// Brings the device up. Errors: see probe.
  [[nodiscard]] static Result<std::unique_ptr<PortDriver>> open(const std::shared_ptr<ContextState>& context,
                                                                std::unique_ptr<Device> device);

  [[nodiscard]] MacAddress permanent_mac() const override { return permanent_mac_; }

  [[nodiscard]] Result<void> configure(const PlacedSettings& settings) override;
  [[nodiscard]] Result<void> fill() override;
  [[nodiscard]] Result<void> start() override;
  [[nodiscard]] Result<void> halt() override;
  std::uint32_t drain(DrainReason reason) noexcept override;

  [[nodiscard]] Result<void> check(const PlacedSettings& from, PlacedSettings& to) override;
  [[nodiscard]] Result<void> apply(const PlacedSettings* from, const PlacedSettings& to) override;
  [[nodiscard]] Link link() override;
  [[nodiscard]] Stats stats() override;
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
    DmaArea memory;
    std::vector<Mbuf*> buffers = {};  // of a receive queue that runs: as many as `kept` lacks
    std::uint32_t kept = 0;           // of the old ring's buffers
    bool several = false;
  };

  Vmxnet3Port(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device, std::uint16_t index);

  [[nodiscard]] Result<void> bring_up_device(Device& device);
  [[nodiscard]] Result<DmaArea> allocate_queue(QueueId queue, const PlacedQueues& config);
  void set_up_rx(std::uint16_t queue, const PlacedQueues& config, DmaArea memory);
  void set_up_tx(std::uint16_t queue, const PlacedQueues& config, DmaArea memory);
  void enable_interrupts();
  void forget_vectors() noexcept;
  [[nodiscard]] std::uint8_t vector_of(std::uint16_t queue) const noexcept;
  void describe_queues();
  [[nodiscard]] Result<void> check_faults();
  [[nodiscard]] Result<void> handle_events();
  /// Waits, for a limited time, until the device has sent what the queues have. Needs their gates closed.
  void wait_for_transmit();
  void write_features(const PlacedSettings& settings) noexcept;
  void write_filters(const PlacedSettings& settings) noexcept;
  void write_rss(const PlacedSettings& settings) noexcept;
  /// The sum over all queues of what the device has counted since it was activated.
  struct DeviceStats {
    reg::TxStats tx{};
    reg::RxStats rx{};
  };
  [[nodiscard]] DeviceStats read_stats() const noexcept;
  [[nodiscard]] DeviceStats total_stats() const noexcept;
  /// Resets the device, and starts it with the queues that are not stopped. Frames in rings are lost.
  [[nodiscard]] Result<void> restart_device();
  [[nodiscard]] Result<void> start_device();
  [[nodiscard]] bool is_stopped(QueueId queue) const noexcept;

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
  Vmxnet3Card card_;
  SharedArea shared_;
  MacAddress permanent_mac_{};
  RxFilter filter_;
  VlansInSoftware vlans_;
  std::deque<Vmxnet3RxQueue> rx_;
  std::deque<Vmxnet3TxQueue> tx_;
  std::optional<PreparedQueue> prepared_;
  DeviceStats earlier_;                     // before the last start
  std::array<std::uint32_t, 2> stopped_{};  // bits of queues, by QueueDirection
  unsigned vectors_ = 0;                    // enabled
  int event_event_ = -1;                    // of the vector for events
  bool active_ = false;                     // the device has been activated
  bool dma_ended_ = true;                   // false while DMA may be going on
  TxWatch tx_watch_;
};

}  // namespace pollux::drivers::vmxnet3
