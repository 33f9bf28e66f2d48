// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/gigabit/led.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "drivers/intel/gigabit/nvm.hpp"
#include "hw/intel/gigabit/nvm.hpp"

namespace pollux::drivers::gigabit {
namespace {

// One light of LEDCTL; each has eight bits.
constexpr std::uint32_t kLightMask = 0xFF;
constexpr std::uint32_t kModeMask = 0x0F;
constexpr std::uint32_t kOn = 0x0E;
constexpr std::uint32_t kOff = 0x0F;
constexpr std::uint32_t kInverted = 0x40;
constexpr std::uint32_t kBlink = 0x80;

/// What becomes of a light: nothing, or a mode.
using Change = std::optional<std::uint32_t>;
struct Changes {
  Change off;  ///< while the port is not to be seen
  Change on;   ///< while it is
};

/// The meaning of four bits of the NVM's word 0x04: Linux, e1000_defines.h, ID_LED_DEF1_DEF2 (1) to ID_LED_OFF1_OFF2
/// (9). Other values change nothing.
Changes changes_of(std::uint32_t setting) noexcept {
  constexpr std::array<Change, 3> kChoices{std::nullopt, kOn, kOff};
  if (setting < 1 || setting > 9) return {};
  return {.off = kChoices[(setting - 1) / 3], .on = kChoices[(setting - 1) % 3]};
}

std::uint32_t apply(std::uint32_t light, const Change& change) noexcept { return change.value_or(light); }

/// The card blinks a light only in the mode "on", so an inverted one that is "off" becomes that.
std::uint32_t blinking(std::uint32_t light, bool inverted) noexcept {
  const std::uint32_t lit = inverted ? kOff : kOn;
  return (light & kModeMask) == lit ? (light & ~kModeMask) | kOn | kBlink : light;
}

}  // namespace

// Linux, e1000_mac.c, igb_valid_led_default, igb_id_led_init and igb_blink_led.
LedValues led_values(std::uint32_t automatic, std::uint16_t settings) noexcept {
  constexpr std::uint16_t kDefault = 0x8911;  // Linux, e1000_defines.h, ID_LED_DEFAULT
  const std::uint32_t valid = settings == 0 || settings == 0xFFFF ? kDefault : settings;
  LedValues values{.automatic = automatic, .off = 0, .on = 0, .blink = 0};
  for (unsigned number = 0; number < 4; ++number) {
    const unsigned shift = 8 * number;
    const std::uint32_t light = automatic >> shift & kLightMask;
    const Changes changes = changes_of(valid >> (4 * number) & kModeMask);
    const std::uint32_t on = apply(light, changes.on);
    values.off |= apply(light, changes.off) << shift;
    values.on |= on << shift;
    values.blink |= blinking(on, (light & kInverted) != 0) << shift;
  }
  return values;
}

// Nothing but this class writes LEDCTL, so before the first call it has the card's default.
Result<void> Leds::write(LedMode mode) {
  if (!values_) {
    if (mode == LedMode::automatic) return {};
    std::array<std::uint16_t, 1> settings{};
    if (has_words(card_)) {
      if (auto read = read_nvm(card_, hw::gigabit::nvm::kIdLedSettings, settings); !read) return read;
    }
    const auto automatic = read_with_retry<reg::LEDCTL>(card_);
    if (card_.regs.removed()) return fail_removed(card_.name);
    values_ = led_values(automatic.raw(), settings[0]);
  }
  std::uint32_t value = values_->automatic;
  if (mode == LedMode::off) value = values_->off;
  if (mode == LedMode::on) value = values_->on;
  if (mode == LedMode::blink) value = values_->blink;
  card_.regs.write<reg::LEDCTL>(reg::LEDCTL::Value(value));
  return {};
}

}  // namespace pollux::drivers::gigabit
