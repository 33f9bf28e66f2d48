// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/identify_led.hpp"

namespace pollux::drivers::igb {

/// The values of LEDCTL for each mode.
struct LedValues {
  std::uint32_t automatic;
  std::uint32_t off;
  std::uint32_t on;
  std::uint32_t blink;
};

/// The values for a card that has `automatic` in LEDCTL after a reset, and `settings` in the NVM's word 0x04: for each
/// of the four lights, four bits that say what becomes of it while the port is identified.
[[nodiscard]] LedValues led_values(std::uint32_t automatic, std::uint16_t settings) noexcept;

/// The lights of one port: keeps their mode, and writes it to the card.
class LedControl final : public IdentifyLed {
 public:
  /// `card` outlives this object.
  explicit LedControl(const drivers::igb::Card& card) noexcept : card_(card) {}

  /// Writes the mode again. Called at each start, after the card's reset has set LEDCTL to its default.
  void start() const;

  [[nodiscard]] Result<void> set_led(LedMode mode) override;
  [[nodiscard]] LedMode led() const override { return mode_; }

 private:
  void write() const;

  const drivers::igb::Card& card_;
  LedMode mode_ = LedMode::automatic;
  std::optional<LedValues> values_;  // since the first call of set_led
};

}  // namespace pollux::drivers::igb
