// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "drivers/intel/e1000e/card.hpp"
#include "drivers/intel/gigabit/led.hpp"
#include "drivers/intel/gigabit/link.hpp"
#include "drivers/intel/gigabit/statistics.hpp"
#include "drivers/intel/queue/queue_port.hpp"
#include "pollux/net/register_dump.hpp"

namespace pollux::drivers::e1000e {

/// What of Settings a port of the card has.
[[nodiscard]] SettingSet supported_settings();

/// A port of an 82574, with one queue in each direction. Controls the card with the functions of the family and of the
/// other files in this folder.
class E1000ePort final : public intel::QueuePort, private RegisterDump {
 public:
  /// Brings the card up. Errors: see probe.
  [[nodiscard]] static Result<std::unique_ptr<PortDriver>> open(const std::shared_ptr<ContextState>& context,
                                                                const hw::e1000e::CardTraits& traits,
                                                                std::unique_ptr<Device> device);

  [[nodiscard]] MacAddress permanent_mac() const override { return permanent_mac_; }

  [[nodiscard]] Result<void> start() override;
  [[nodiscard]] Result<void> halt() override;
  std::uint32_t drain(DrainReason reason) noexcept override;

  [[nodiscard]] Result<void> check(const PlacedSettings& from, PlacedSettings& to) override;
  [[nodiscard]] Result<void> apply(const PlacedSettings* from, const PlacedSettings& to) override;
  [[nodiscard]] Result<void> pause(Duration limit) override;
  void unpause() noexcept override;
  [[nodiscard]] Link link() override { return gigabit::read_link(card_); }

  [[nodiscard]] Stats stats() override;
  void append_counters(std::vector<Counter>& counters) override { statistics_.append(counters); }
  [[nodiscard]] Result<Duration> service() override;
  [[nodiscard]] std::vector<int> events() const override;
  [[nodiscard]] std::span<const CapabilityEntry> capabilities() const noexcept override { return capabilities_; }

  [[nodiscard]] bool make_harmless() override;
  [[nodiscard]] Result<void> release(bool failed) override;

 private:
  E1000ePort(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device,
             const hw::e1000e::CardTraits& traits, std::uint16_t index);

  [[nodiscard]] bool may_transmit() const override;
  [[nodiscard]] intel::CountedFrames counted_frames() override;
  [[nodiscard]] Result<void> halt_queue(QueueId queue) override;
  [[nodiscard]] Result<void> start_queue(QueueId queue) override;
  [[nodiscard]] Result<void> bring_up();
  [[nodiscard]] std::vector<RegisterValue> registers() override;
  /// Drops frames of more than the MTU. Error timeout: a thread does not end its burst.
  [[nodiscard]] Result<void> limit_length(const PlacedSettings* from, const PlacedSettings& to);

  std::array<CapabilityEntry, 3> capabilities_{offer<RegisterDump>(*this), transmit_watch(), receive_watch()};
  std::unique_ptr<Device> device_;
  E1000eCard card_;
  MacAddress permanent_mac_{};
  gigabit::Leds leds_{card_};
  bool dma_ended_ = true;  // false while DMA may be going on
  gigabit::CardStatistics statistics_;
};

}  // namespace pollux::drivers::e1000e
