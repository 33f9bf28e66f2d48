// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "drivers/intel/gigabit/card.hpp"
#include "drivers/intel/gigabit/link.hpp"
#include "drivers/intel/gigabit/statistics.hpp"
#include "drivers/intel/queue/queue_port.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/self_test.hpp"
#include "pollux/net/wake_on_lan.hpp"

namespace pollux::drivers::gigabit {

/// A port of the family: its life from the end of its DMA on, its link, PHY and flow control, and its wake-up. A card's
/// driver derives from it, owns the card, and adds bring-up, start, settings and what else the card has.
class GigabitPort : public intel::QueuePort,
                    private LinkControl,
                    private PhyRegisters,
                    private FlowControl,
                    private WakeOnLan,
                    private SelfTest {
 public:
  [[nodiscard]] MacAddress permanent_mac() const final { return permanent_mac_; }
  [[nodiscard]] Result<void> halt() override;
  std::uint32_t drain(DrainReason reason) noexcept final;
  [[nodiscard]] Link link() final;
  [[nodiscard]] Stats stats() final;
  void append_counters(std::vector<Counter>& counters) override { statistics_.append(counters); }
  [[nodiscard]] std::vector<int> events() const final;

  [[nodiscard]] Result<void> suspend() final;
  [[nodiscard]] Result<void> resume() final;
  [[nodiscard]] bool can_attach() const noexcept final { return true; }
  [[nodiscard]] Result<void> attach(std::unique_ptr<Device> device) final;
  [[nodiscard]] bool make_harmless() final;
  [[nodiscard]] Result<void> release(bool failed) final;

 protected:
  /// `counters` outlives the port. `memory`: see QueueSet.
  GigabitPort(std::shared_ptr<ContextState> context, std::unique_ptr<Device>&& device, PortInfo info,
              const intel::TxFormat& format, std::span<const CardCounter> counters,
              const std::shared_ptr<std::pmr::memory_resource>& memory = nullptr);

  /// The card, which the derived class owns; not used before its constructor ends.
  [[nodiscard]] virtual GigabitCard& card() noexcept = 0;
  [[nodiscard]] virtual const GigabitCard& card() const noexcept = 0;

  // Steps of the card's own.
  ///@{
  /// Whether a port of this card may go on with the other one.
  [[nodiscard]] virtual bool is_same_card(const PciIdentity& other) const noexcept = 0;
  /// Takes the card over: `take_card`, and what the card adds.
  [[nodiscard]] virtual Result<void> bring_up() = 0;
  /// After `bring_up` of a port that may have settings.
  [[nodiscard]] virtual Result<void> attached() { return {}; }
  /// Resets the card: no DMA, interrupts masked, the address from the NVM.
  [[nodiscard]] virtual Result<void> reset() = 0;
  /// The counters of the card are about to be lost, or its clock is.
  virtual void before_reset() {}
  /// What no reset restores is as the port has found it.
  virtual void restore() {}
  /// Tells the firmware whether a driver uses the port.
  virtual void announce(bool loaded) = 0;
  virtual void mask_interrupts() = 0;
  /// Ends all DMA of the running port and notes where its transmit queues have stopped. Errors: those of
  /// `disable_master`; DMA may then still go on.
  [[nodiscard]] virtual Result<void> quiesce() = 0;
  /// Clears what else than the port's own address the card receives.
  virtual void clear_filters();
  virtual void attach_counters() = 0;
  /// Why the card may not be tested now, besides what holds for all.
  [[nodiscard]] virtual Result<void> check_self_test() const { return {}; }
  /// The parts of the self-test, in their order. Each begins with a card that was just reset.
  using SelfTestStep = std::function<Result<SelfTestResult>()>;
  [[nodiscard]] virtual std::vector<SelfTestStep> self_test_parts() = 0;
  /// Tests the causes that belong to no queue. `event`: the eventfd of MSI-X vector 0, which is enabled.
  [[nodiscard]] virtual SelfTestResult test_vector(int event) = 0;
  /// Bytes of the packet buffer for receiving, with these settings. 0: the card was removed.
  [[nodiscard]] virtual std::uint32_t receive_buffer(const Settings& settings) const = 0;
  ///@}

  /// First steps of `bring_up`: maps the registers, resets the card, checks its NVM and reads its address.
  [[nodiscard]] Result<void> take_card();
  void use_permanent_mac(const MacAddress& mac) noexcept { permanent_mac_ = mac; }
  [[nodiscard]] bool may_transmit() const override;
  /// A part of the self-test: `test_vector` with a vector, if the device has one.
  [[nodiscard]] Result<SelfTestResult> test_messages();
  /// The capabilities of this class.
  [[nodiscard]] std::vector<CapabilityEntry> family_capabilities();

  [[nodiscard]] static LinkSetup link_setup(const Settings& settings);
  [[nodiscard]] Result<void> check_link(const Settings& from, const Settings& to) const;
  /// What the port's wish to wake the machine needs.
  [[nodiscard]] Result<void> check_wake(const Settings& from, const Settings& to) const;
  /// Applies link, PHY and flow control to a running port; nullptr: at its start, after `start_link`.
  [[nodiscard]] Result<void> apply_link_settings(const Settings* from, const Settings& to);
  /// Flow control with its water marks.
  [[nodiscard]] Result<FlowControlConfig> with_marks(const Settings& settings) const;
  /// Sets the modes that both sides can, after the link has come up, or none after it has gone down.
  void settle_flow_control(const Link& link);

  std::unique_ptr<Device> device_;
  CardStatistics statistics_;
  bool dma_ended_ = true;  // false while DMA may be going on
  bool has_card_ = true;   // false: another program has it, and nothing of it is written or closed

 private:
  /// Ends the card's DMA, then disables bus mastering in its PCI command register. Needs the queues closed.
  [[nodiscard]] Result<void> end_dma();
  [[nodiscard]] Result<void> arm_wake();
  /// Gives up the card's registers and enters power state D3hot, if the platform allows it.
  [[nodiscard]] Result<void> enter_low_power();
  /// Returns to D0, and has registers again.
  [[nodiscard]] Result<void> wake_up();
  [[nodiscard]] Result<void> check_same_card(const Device& device) const;
  /// Error busy: a management session or a loopback holds the link.
  [[nodiscard]] Result<void> check_link_is_free() const;
  /// Sets the link of a started port up anew. Errors: those of restart_link.
  [[nodiscard]] Result<void> apply_link(const Settings& to);
  /// Writes flow control. With autonegotiation it is off until the partner's abilities are known.
  [[nodiscard]] Result<void> start_flow_control(const Settings& settings);

  [[nodiscard]] Result<void> restart_negotiation() final;
  [[nodiscard]] Result<LinkDetails> link_details() final;
  [[nodiscard]] Result<std::uint16_t> read_phy_register(const PhyRegister& which) final;
  [[nodiscard]] Result<void> write_phy_register(const PhyRegister& which, std::uint16_t value) final;
  [[nodiscard]] Result<WakeEvents> wake_support() final;
  [[nodiscard]] FlowControlState flow_control() final;
  [[nodiscard]] Result<std::vector<SelfTestResult>> test_offline() final;
  [[nodiscard]] Result<std::vector<SelfTestResult>> test_online() final;
  [[nodiscard]] Result<std::vector<SelfTestResult>> run_parts(std::span<const SelfTestStep> parts);
  [[nodiscard]] Result<SelfTestResult> test_any_vector();

  MacAddress permanent_mac_{};
  PciIdentity identity_;
  PauseModes pause_;               // in force while the link is up
  bool pause_is_settled_ = false;  // `pause_` belongs to the current link
};

}  // namespace pollux::drivers::gigabit
