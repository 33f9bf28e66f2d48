// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/igbvf/card.hpp"
#include "drivers/intel/igbvf/mailbox.hpp"
#include "drivers/intel/igbvf/statistics.hpp"
#include "drivers/intel/queue/queue_port.hpp"
#include "hw/intel/igbvf/ids.hpp"
#include "pollux/device/device.hpp"
#include "pollux/net/port_driver.hpp"
#include "pollux/net/register_dump.hpp"
#include "pollux/net/stats.hpp"

namespace pollux::drivers::igbvf {

/// What of Settings a port of a virtual function has.
[[nodiscard]] SettingSet supported_settings(const Device& device);

/// A port of a virtual function. The physical function's driver, the kernel's or another, owns the link, the filters
/// and the address. The port requests its settings through the mailbox, again at every start.
class IgbvfPort final : public intel::QueuePort, private RegisterDump {
 public:
  /// Resets the function and opens a port on it. Errors: see probe.
  [[nodiscard]] static Result<std::unique_ptr<PortDriver>> open(const std::shared_ptr<ContextState>& context,
                                                                const hw::igbvf::CardTraits& traits,
                                                                std::unique_ptr<Device> device);

  [[nodiscard]] MacAddress permanent_mac() const override { return permanent_mac_; }
  [[nodiscard]] Result<std::unique_ptr<ForwardPath>> forward_path(std::uint16_t rx_queue, PortDriver& out,
                                                                  std::uint16_t tx_queue) override;

  [[nodiscard]] Result<void> start() override;
  [[nodiscard]] Result<void> halt() override;

  [[nodiscard]] Result<void> apply(const PlacedSettings* from, const PlacedSettings& to) override;
  [[nodiscard]] Link link() override;

  [[nodiscard]] Stats stats() override;
  void append_counters(std::vector<Counter>& counters) override { statistics_.append(counters); }
  [[nodiscard]] Result<Duration> service() override;
  [[nodiscard]] std::vector<int> events() const override;
  [[nodiscard]] std::span<const CapabilityEntry> capabilities() const noexcept override { return capabilities_; }

  [[nodiscard]] bool can_attach() const noexcept override { return true; }
  [[nodiscard]] Result<void> attach(std::unique_ptr<Device> device) override;
  [[nodiscard]] bool make_harmless() override;
  [[nodiscard]] Result<void> release(bool failed) override;

 private:
  IgbvfPort(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device, const hw::igbvf::CardTraits& traits,
            std::uint16_t index);

  [[nodiscard]] bool may_transmit() const override;
  [[nodiscard]] Result<void> halt_queue(QueueId queue) override;
  [[nodiscard]] Result<void> start_queue(QueueId queue) override;
  [[nodiscard]] Result<void> bring_up();
  [[nodiscard]] Result<void> start_queues();
  [[nodiscard]] Result<void> request_vlans(const VlanSet& vlans);
  /// The function is in these VLANs: their tags are reported. Error timeout: a thread does not end its burst.
  [[nodiscard]] Result<void> show_vlans(const VlanSet& vlans);
  [[nodiscard]] RxFormat rx_format(const VlanSet& vlans) const noexcept;
  [[nodiscard]] Result<void> expect_open() const;

  [[nodiscard]] std::vector<RegisterValue> registers() override;

  std::array<CapabilityEntry, 3> capabilities_{offer<RegisterDump>(*this), transmit_watch(), interrupt_capability()};
  std::unique_ptr<Device> device_;
  const hw::igbvf::CardTraits& traits_;
  IgbvfCard card_;
  Mailbox mailbox_;
  MacAddress permanent_mac_{};
  /// What the physical function has granted since the last reset of this one.
  struct Granted {
    MacAddress mac{};
    std::uint32_t mtu = 0;
    bool all_multicast = false;
    std::vector<MacAddress> multicast;
    VlanSet vlans;
  };
  Granted granted_;
  RxFormat format_ = RxFormat::none;  // of the receive queue
  bool was_reset_ = false;            // by the physical function, since the last start
  bool dma_ended_ = true;             // false while DMA may be going on
  IgbvfStatistics statistics_;
};

}  // namespace pollux::drivers::igbvf
