// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "hw/igb/limits.hpp"
#include "hw/igb/registers.hpp"
#include "mem/context_state.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux::igb {

namespace reg = hw::igb;

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// What every step of the driver works on. Ends with the Device that the registers belong to.
struct Card {
  hw::igb::Registers regs;
  std::shared_ptr<ContextState> context;
  std::string name;  ///< the port's URI, for messages

  [[nodiscard]] Clock& clock() const noexcept { return context->clock(); }
  void log(LogLevel level, std::string_view message) const {
    context->log(level, fmt::format("{}: {}", name, message));
  }
};

[[nodiscard]] inline tl::unexpected<Error> fail_removed(std::string_view name) {
  return fail(ErrorCode::device_removed, fmt::format("{}: the card is gone: its registers read all ones", name),
              "close the port; if the card is still in its slot, reset the slot and open it again");
}

/// Waits for `condition`, at most `limit`. A card that is gone reads all ones, which can pass for any condition, so
/// that is looked at last. Errors: device_removed, timeout ("NAME: WHAT did not happen within ...").
template <std::predicate Condition>
[[nodiscard]] Result<void> wait_for(const Card& card, std::string_view what, Duration limit, Condition condition,
                                    Duration interval = microseconds(50)) {
  auto waited = wait_until(card.clock(), fmt::format("{}: {}", card.name, what), limit, std::move(condition), interval);
  if (card.regs.removed()) return fail_removed(card.name);
  return waited;
}

}  // namespace pollux::igb
