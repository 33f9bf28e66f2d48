// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "drivers/intel/e1000e/bring_up.hpp"
#include "drivers/intel/e1000e/card.hpp"
#include "drivers/intel/gigabit/led.hpp"
#include "drivers/intel/gigabit/nvm_control.hpp"
#include "drivers/intel/gigabit/port.hpp"
#include "pollux/net/port_facts.hpp"
#include "pollux/net/register_dump.hpp"

namespace pollux::drivers::e1000e {

/// What of Settings a port of the card has.
[[nodiscard]] SettingSet supported_settings(Device& device);

/// A port of an 82574. Controls the card with the functions of the family and of the
/// other files in this folder.
class E1000ePort final : public gigabit::GigabitPort, private RegisterDump, private PortFacts {
 public:
  /// Brings the card up. Errors: see probe.
  [[nodiscard]] static Result<std::unique_ptr<PortDriver>> open(const std::shared_ptr<ContextState>& context,
                                                                const hw::e1000e::CardTraits& traits,
                                                                std::unique_ptr<Device> device);

  [[nodiscard]] Result<void> start() override;
  [[nodiscard]] Result<void> check(const PlacedSettings& from, PlacedSettings& to) override;
  [[nodiscard]] Result<void> apply(const PlacedSettings* from, const PlacedSettings& to) override;
  [[nodiscard]] Result<void> pause(Duration limit) override;
  void unpause() noexcept override;
  [[nodiscard]] Result<Duration> service() override;
  [[nodiscard]] std::span<const CapabilityEntry> capabilities() const noexcept override { return capabilities_; }

 private:
  E1000ePort(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device,
             const hw::e1000e::CardTraits& traits, std::uint16_t index);

  // The card's steps: see GigabitPort.
  [[nodiscard]] gigabit::GigabitCard& card() noexcept override { return card_; }
  [[nodiscard]] const gigabit::GigabitCard& card() const noexcept override { return card_; }
  [[nodiscard]] bool is_same_card(const PciIdentity& other) const noexcept override;
  [[nodiscard]] Result<void> bring_up() override;
  [[nodiscard]] Result<void> reset() override { return reset_card(card_); }
  void announce(bool loaded) override { announce_driver(card_, loaded); }
  void mask_interrupts() override { e1000e::mask_interrupts(card_); }
  [[nodiscard]] Result<void> quiesce() override;
  void attach_counters() override { statistics_.attach(card_.regs, {}, 0); }
  [[nodiscard]] std::uint32_t receive_buffer(const Settings& settings) const override;

  [[nodiscard]] std::vector<SelfTestStep> self_test_parts() override;
  [[nodiscard]] SelfTestResult test_vector(int event) override;

  [[nodiscard]] intel::CountedFrames counted_frames() override;
  [[nodiscard]] Result<void> may_restart(QueueId queue) const override;
  [[nodiscard]] Result<void> halt_queue(QueueId queue) override;
  [[nodiscard]] Result<void> start_queue(QueueId queue) override;
  [[nodiscard]] std::vector<RegisterValue> registers() override;
  [[nodiscard]] std::vector<PortFact> facts() override;
  /// Drops frames of more than the MTU. Error timeout: a thread does not end its burst.
  [[nodiscard]] Result<void> limit_length(const PlacedSettings* from, const PlacedSettings& to);

  [[nodiscard]] Result<void> watch_phy();

  std::vector<CapabilityEntry> capabilities_;
  E1000eCard card_;
  gigabit::Leds leds_{card_};
  gigabit::NvmControl nvm_{card_};
  Time next_look_{0};
  unsigned phy_hung_ = 0;  // looks in a row that have found it so
};

}  // namespace pollux::drivers::e1000e
