// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/common/card.hpp"
#include "hw/intel/gigabit/limits.hpp"
#include "hw/intel/gigabit/registers.hpp"
#include "hw/intel/gigabit/traits.hpp"
#include "pollux/device/device.hpp"

/// What the control paths of Intel's gigabit cards have in common: each function works on the registers that the cards
/// share, and by the values of a card's traits.
namespace pollux::drivers::gigabit {

namespace reg = hw::gigabit;

/// A card of the family as the steps of its driver see it.
struct GigabitCard : intel::Card<hw::gigabit::Registers> {
  hw::gigabit::FamilyTraits family;
  Device* device = nullptr;  ///< configuration space, bus mastering, function level reset
  bool asleep = false;       ///< between suspend and resume, without registers
};
using intel::fail_removed;
using intel::microseconds;
using intel::milliseconds;

/// CTRL of a card whose link was started: it has SLU, so 0 is a read that failed, as all ones are.
[[nodiscard]] inline reg::CTRL::Value read_control(const GigabitCard& card) {
  const auto control = intel::read_with_retry<reg::CTRL>(card);
  return control.raw() == 0 ? card.regs.read<reg::CTRL>() : control;
}

/// Checks that the card's registers may be accessed. `call`: what cannot be done otherwise, as "RSS cannot be set".
[[nodiscard]] inline Result<void> expect_open(const GigabitCard& card, std::string_view call = {}) {
  if (card.regs.bar()) return {};
  return fail(ErrorCode::bad_state,
              fmt::format("{}: {}{}the port is {}", card.name, call, call.empty() ? "" : ": ",
                          card.asleep ? "suspended" : "closed"),
              card.asleep ? "resume the port first" : "open the port again");
}

/// As expect_open, and that the card is still there as far as register accesses have shown.
[[nodiscard]] inline Result<void> expect_present(const GigabitCard& card) {
  if (auto is_open = expect_open(card); !is_open) return is_open;
  if (card.regs.removed()) return fail_removed(card.name);
  return {};
}

}  // namespace pollux::drivers::gigabit
