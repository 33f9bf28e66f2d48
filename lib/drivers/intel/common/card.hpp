// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "mem/context_state.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux::drivers::intel {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// What every step of a driver works on. `Registers` is the card's RegisterWindow. Ends with the Device that the
/// registers belong to.
template <class Registers>
struct Card {
  Registers regs;
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
template <class Registers, std::predicate Condition>
[[nodiscard]] Result<void> wait_for(const Card<Registers>& card, std::string_view what, Duration limit,
                                    Condition condition, Duration interval = microseconds(50)) {
  const auto waited = wait_until(card.clock(), what, limit, std::move(condition), interval);
  if (card.regs.removed()) return fail_removed(card.name);
  if (waited) return {};
  return timed_out(fmt::format("{}: {}", card.name, what), limit);
}

/// As the window's own, without the word that a template needs for them.
template <class R, class Registers>
[[nodiscard]] typename R::Value read_register(const Card<Registers>& card, std::uint32_t index = 0) {
  return card.regs.template read<R>(index);
}
template <class R, class Registers>
void write_register(const Card<Registers>& card, std::uint32_t index, typename R::Value value) {
  card.regs.template write<R>(index, value);
}

/// Reads a register that is never all ones on a live card. Retries once: one failed PCIe read also returns all ones,
/// and written back with some bits changed it would set all the others. Still all ones if the card is gone.
template <class R, class Registers>
[[nodiscard]] typename R::Value read_steadily(const Card<Registers>& card, std::uint32_t index = 0) {
  const auto value = card.regs.template read<R>(index);
  return value.all_ones() ? card.regs.template read<R>(index) : value;
}

/// Changes what `setting` speaks of, and nothing on a card that is gone.
template <class R, class Registers>
void modify(const Card<Registers>& card, typename R::Setting setting, std::uint32_t index = 0) {
  const auto value = read_steadily<R>(card, index);
  if (!value.all_ones()) card.regs.template write<R>(index, value.with(setting));
}
template <class R, class Registers>
void clear(const Card<Registers>& card, typename R::Setting setting, std::uint32_t index = 0) {
  const auto value = read_steadily<R>(card, index);
  if (!value.all_ones()) card.regs.template write<R>(index, value.without(setting));
}

/// Whether the bits of `mask` are in the register as they were written: for those that say where the card may write.
/// Errors: device_removed, device_fault.
template <class R, class Registers>
[[nodiscard]] Result<void> check_written(const Card<Registers>& card, std::string_view name, std::uint32_t index,
                                         std::uint32_t written, std::uint32_t mask = ~std::uint32_t{0}) {
  const std::uint32_t held = read_steadily<R>(card, index).raw();
  if ((held & mask) == (written & mask)) return {};
  if (card.regs.removed()) return fail_removed(card.name);
  return fail(ErrorCode::device_fault,
              fmt::format("{}: {}[{}] reads {:#x} after {:#x} was written", card.name, name, index, held, written),
              "start the port again; if it stays so, reset the slot");
}

}  // namespace pollux::drivers::intel
