// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "drivers/intel/gigabit/led.hpp"
#include "drivers/intel/gigabit/link.hpp"
#include "drivers/intel/gigabit/nvm_control.hpp"
#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/igb/card_clock.hpp"
#include "drivers/intel/igb/filters.hpp"
#include "drivers/intel/igb/functions.hpp"
#include "drivers/intel/igb/queue_setup.hpp"
#include "drivers/intel/igb/statistics.hpp"
#include "drivers/intel/queue/queue_port.hpp"
#include "pollux/device/device.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/port_driver.hpp"
#include "pollux/net/register_dump.hpp"
#include "pollux/net/self_test.hpp"
#include "pollux/net/wake_on_lan.hpp"

namespace pollux::drivers::igb {

/// What of Settings a port of the card has.
[[nodiscard]] SettingSet supported_settings(Device& device, const hw::igb::CardTraits& card);

/// A port of an 82576. Controls the card with the functions of the other files in this folder.
class IgbPort final : public intel::QueuePort,
                      private RegisterDump,
                      private SelfTest,
                      private FlowControl,
                      private LinkControl,
                      private PhyRegisters,
                      private WakeOnLan {
 public:
  /// Brings the card up. Errors: see probe.
  [[nodiscard]] static Result<std::unique_ptr<PortDriver>> open(const std::shared_ptr<ContextState>& context,
                                                                const hw::igb::CardTraits& traits,
                                                                std::unique_ptr<Device> device);

  [[nodiscard]] MacAddress permanent_mac() const override { return permanent_mac_; }
  [[nodiscard]] Result<std::unique_ptr<ForwardPath>> forward_path(std::uint16_t rx_queue, PortDriver& out,
                                                                  std::uint16_t tx_queue) override;

  [[nodiscard]] Result<void> start() override;
  [[nodiscard]] Result<void> halt() override;
  std::uint32_t drain(DrainReason reason) noexcept override;

  [[nodiscard]] Result<void> check(const PlacedSettings& from, PlacedSettings& to) override;
  void add_initial(Settings& settings) const override;
  [[nodiscard]] Result<void> apply(const PlacedSettings* from, const PlacedSettings& to) override;
  [[nodiscard]] Result<void> pause(Duration limit) override;
  void unpause() noexcept override;
  [[nodiscard]] Link link() override;

  [[nodiscard]] Stats stats() override;
  void append_counters(std::vector<Counter>& counters) override;
  [[nodiscard]] Result<Duration> service() override;
  [[nodiscard]] std::vector<int> events() const override;
  [[nodiscard]] std::span<const CapabilityEntry> capabilities() const noexcept override { return capabilities_; }

  [[nodiscard]] Result<void> suspend() override;
  [[nodiscard]] Result<void> resume() override;
  [[nodiscard]] bool can_attach() const noexcept override { return true; }
  [[nodiscard]] Result<void> attach(std::unique_ptr<Device> device) override;
  [[nodiscard]] bool make_harmless() override;
  [[nodiscard]] Result<void> release(bool failed) override;

 private:
  IgbPort(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device, const hw::igb::CardTraits& traits,
          std::uint16_t index);

  [[nodiscard]] bool may_transmit() const override;
  [[nodiscard]] Duration longest_request() const override;
  [[nodiscard]] intel::CountedFrames counted_frames() override;
  [[nodiscard]] Result<void> halt_queue(QueueId queue) override;
  [[nodiscard]] Result<void> start_queue(QueueId queue) override;
  /// Takes the card over.
  [[nodiscard]] Result<void> bring_up();
  void list_capabilities();
  [[nodiscard]] Result<void> check_same_card(const Device& device) const;
  /// Gives up the card's registers and enters power state D3hot, if the platform allows it.
  [[nodiscard]] Result<void> enter_low_power();
  /// Returns to D0, and has registers again.
  [[nodiscard]] Result<void> wake_up();
  /// Ends the card's DMA, then disables bus mastering in its PCI command register. Needs the queues closed.
  [[nodiscard]] Result<void> end_dma();
  [[nodiscard]] std::vector<RegisterValue> registers() override;

  using SelfTestStep = std::function<Result<SelfTestResult>()>;
  [[nodiscard]] Result<std::vector<SelfTestResult>> test_offline() override;
  [[nodiscard]] Result<std::vector<SelfTestResult>> run_parts(std::span<const SelfTestStep> parts);
  [[nodiscard]] Result<std::vector<SelfTestResult>> test_online() override;
  [[nodiscard]] Result<SelfTestResult> test_messages();
  [[nodiscard]] Result<SelfTestResult> test_vector();

  [[nodiscard]] Result<void> expect_open() const;
  /// [I-TXVLAN] Whether the card inserts the tags of frames.
  [[nodiscard]] static bool inserts_tags(const Settings& settings) noexcept {
    return settings.vlan_stripping && !settings.outer_vlan_type;
  }
  /// Which tag the card strips.
  [[nodiscard]] static RxFormat rx_format(const Settings& settings) noexcept {
    return settings.outer_vlan_type ? RxFormat::intel_inner_tag : RxFormat::intel_advanced;
  }
  /// The limit of the whole card, for the frames of virtual functions, too.
  [[nodiscard]] ReceiveLimit card_limit(const Settings& settings) const noexcept;
  /// The card's registers of the port's queues: those behind the queues of virtual functions.
  [[nodiscard]] intel::QueueRegisters queue_window() const;
  [[nodiscard]] static gigabit::LinkSetup link_setup(const Settings& settings);
  [[nodiscard]] Result<void> check_link(const Settings& from, const Settings& to) const;
  /// Error busy: a management session or a loopback holds the link.
  [[nodiscard]] Result<void> check_link_is_free() const;
  /// Sets the link of a started port up anew. Errors: those of restart_link.
  [[nodiscard]] Result<void> apply_link(const Settings& to);
  [[nodiscard]] Result<void> restart_negotiation() override;
  [[nodiscard]] Result<LinkDetails> link_details() override;
  [[nodiscard]] Result<std::uint16_t> read_phy_register(const PhyRegister& which) override;
  [[nodiscard]] Result<void> write_phy_register(const PhyRegister& which, std::uint16_t value) override;
  [[nodiscard]] Result<WakeEvents> wake_support() override;
  [[nodiscard]] FlowControlState flow_control() override;
  /// Flow control with its water marks.
  [[nodiscard]] Result<FlowControlConfig> with_marks(const Settings& settings) const;
  /// Writes flow control. With autonegotiation it is off until the partner's abilities are known.
  [[nodiscard]] Result<void> start_flow_control(const Settings& settings);
  /// Writes what depends on the link: flow control and rate limits.
  void follow(const Link& link);
  /// Sets the modes that both sides can, after the link has come up, or none after it has gone down.
  void settle_flow_control(const Link& link);

  std::vector<CapabilityEntry> capabilities_;
  std::unique_ptr<Device> device_;
  IgbCard card_;
  MacAddress permanent_mac_{};
  gigabit::Leds leds_{card_};
  TxRates tx_rates_{card_};
  CardClock clock_{card_};
  StampLatches stamps_{card_, clock_, *this};
  PacketBufferSizes packet_buffers_{card_};
  FunctionControl functions_{card_, *this, tx_rates_};
  PciIdentity identity_;
  gigabit::NvmControl nvm_{card_};
  PauseModes pause_;               // in force while the link is up
  bool pause_is_settled_ = false;  // `pause_` belongs to the current link
  bool dma_ended_ = true;          // false while DMA may be going on
  IgbStatistics statistics_;
};

}  // namespace pollux::drivers::igb
