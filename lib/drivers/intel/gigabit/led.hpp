// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "drivers/intel/gigabit/card.hpp"
#include "pollux/net/identify_led.hpp"

namespace pollux::drivers::gigabit {

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

/// The lights of one port.
class Leds {
 public:
  /// `card` outlives this object.
  explicit Leds(const GigabitCard& card) noexcept : card_(card) {}

  /// Errors: device_removed, timeout (the NVM).
  [[nodiscard]] Result<void> write(LedMode mode);

 private:
  const GigabitCard& card_;
  std::optional<LedValues> values_;  // since a mode was not automatic
};

}  // namespace pollux::drivers::gigabit
