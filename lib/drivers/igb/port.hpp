// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <vector>

#include "drivers/igb/card.hpp"
#include "drivers/igb/config_check.hpp"
#include "drivers/igb/queue_set.hpp"
#include "drivers/igb/ring_memory.hpp"
#include "drivers/igb/statistics.hpp"
#include "pollux/device/device.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::igb {

/// A port of an 82576: the order of its states and of what is done between them. The doing is in the files beside.
///
///     opened -- configure --> configured -- start --> started -- stop --> configured
///     any -- close --> closed;   any -- the card is gone, faulty or does not stop --> failed -- close --> closed
class Port final : public PortDriver, private RegisterDump {
 public:
  /// Brings the card up. Errors: see probe.
  [[nodiscard]] static Result<std::unique_ptr<Port>> open(std::shared_ptr<ContextState> context,
                                                          std::unique_ptr<Device> device);
  ~Port() override;

  [[nodiscard]] const PortInfo& info() const override { return info_; }
  [[nodiscard]] PortState state() const override { return state_; }

  [[nodiscard]] Result<void> configure(const PortConfig& config) override;
  [[nodiscard]] Result<void> start() override;
  [[nodiscard]] Result<void> stop() override;
  [[nodiscard]] Result<void> close() override;

  [[nodiscard]] pollux::RxQueue* rx_queue(std::uint16_t index) override { return queues_->rx(index); }
  [[nodiscard]] pollux::TxQueue* tx_queue(std::uint16_t index) override { return queues_->tx(index); }

  [[nodiscard]] Result<std::unique_ptr<ForwardPath>> forward_path(std::uint16_t rx_queue, PortDriver& out,
                                                                  std::uint16_t tx_queue) override;

  [[nodiscard]] MacAddress mac() const override { return mac_; }
  [[nodiscard]] Result<void> set_mac(const MacAddress& mac) override;
  [[nodiscard]] std::uint32_t mtu() const override { return plan_.mtu; }
  [[nodiscard]] Result<void> set_mtu(std::uint32_t bytes) override;
  [[nodiscard]] Result<void> set_promiscuous(bool on) override;
  [[nodiscard]] Result<void> set_all_multicast(bool on) override;
  [[nodiscard]] Link link() override;

  [[nodiscard]] Stats stats() override;
  [[nodiscard]] std::vector<Counter> extended_stats() override;
  [[nodiscard]] Result<Duration> service() override;
  [[nodiscard]] std::vector<int> events() const override;

  [[nodiscard]] RegisterDump* register_dump() override { return this; }

 private:
  Port(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device, std::uint16_t index);

  [[nodiscard]] Result<void> bring_up();
  [[nodiscard]] Result<void> start_card();
  /// Ends DMA at the card and at the bus; the queues are closed.
  [[nodiscard]] Result<void> end_dma();
  [[nodiscard]] tl::unexpected<Error> enter_failed(Error why);
  /// Empties the rings. Only when nothing can write there any more.
  void take_buffers_back(DrainReason reason);
  /// Whether no DMA can reach memory any more, once a failed port's device is handed back.
  [[nodiscard]] bool failed_card_is_harmless();
  [[nodiscard]] Result<void> hand_back();

  [[nodiscard]] Result<void> expect(std::initializer_list<PortState> states, std::string_view call) const;
  /// A card that is gone is found out here; else what a setter has written has arrived.
  [[nodiscard]] Result<void> settle_registers();
  [[nodiscard]] std::vector<RegisterValue> registers() override;

  std::unique_ptr<Device> device_;
  Card card_;
  PortInfo info_;
  PortState state_ = PortState::opened;
  Error failure_;  // why it is failed
  bool buffers_in_rings_ = false;
  std::atomic<std::uint64_t> removed_buffers_ = 0;  // taken back from a card that was gone or had failed
  bool dma_ended_ = true;
  bool poller_stuck_ = false;  // some thread is inside a burst for good
  MacAddress mac_{};
  Plan plan_;
  RingMemory rings_;
  std::shared_ptr<QueueSet> queues_ = std::make_shared<QueueSet>();
  Statistics statistics_;
};

}  // namespace pollux::igb
