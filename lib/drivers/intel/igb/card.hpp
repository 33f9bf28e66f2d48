// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/common/card.hpp"
#include "hw/intel/igb/ids.hpp"
#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/registers.hpp"
#include "net/frame_size.hpp"
#include "pollux/device/device.hpp"

namespace pollux::drivers::igb {

namespace reg = hw::igb;

/// The card as the steps of the driver see it.
struct IgbCard : intel::Card<hw::igb::Registers> {
  const hw::igb::CardTraits* traits = nullptr;
  Device* device = nullptr;  ///< configuration space, bus mastering, function level reset
  bool asleep = false;       ///< between suspend and resume, without registers
};
using intel::fail_removed;
using intel::microseconds;
using intel::milliseconds;

/// [I-JUMBO] The largest MTU: the card's longest frame less header, FCS and one VLAN tag, so that a tagged frame passes
/// at any MTU.
[[nodiscard]] constexpr std::uint32_t max_mtu(const hw::igb::CardTraits& card) noexcept {
  return card.max_frame - wire_bytes(0);
}
static_assert(max_mtu(hw::igb::kCards[0]) == 9706);

/// The pool of a queue of the card. Pool n has the queues n and n + pools.
[[nodiscard]] inline std::uint32_t pool_of(const IgbCard& card, std::uint32_t queue) noexcept {
  return queue % card.traits->pools;
}

/// CTRL of a card whose link was started: it has SLU, so 0 is a read that failed, as all ones are.
[[nodiscard]] inline reg::CTRL::Value read_control(const IgbCard& card) {
  const auto control = intel::read_with_retry<reg::CTRL>(card);
  return control.raw() == 0 ? card.regs.read<reg::CTRL>() : control;
}

/// Checks that the card's registers may be accessed. `call`: what cannot be done otherwise, as "RSS cannot be set".
[[nodiscard]] inline Result<void> expect_open(const IgbCard& card, std::string_view call = {}) {
  if (card.regs.bar()) return {};
  return fail(ErrorCode::bad_state,
              fmt::format("{}: {}{}the port is {}", card.name, call, call.empty() ? "" : ": ",
                          card.asleep ? "suspended" : "closed"),
              card.asleep ? "resume the port first" : "open the port again");
}

/// As expect_open, and that the card is still there as far as register accesses have shown.
[[nodiscard]] inline Result<void> expect_present(const IgbCard& card) {
  if (auto is_open = expect_open(card); !is_open) return is_open;
  if (card.regs.removed()) return fail_removed(card.name);
  return {};
}

}  // namespace pollux::drivers::igb
