// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "mem/context_state.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/offload.hpp"

namespace pollux::drivers::intel {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// The card as the steps of a driver see it. `Registers` is the card's RegisterWindow. Must not outlive the Device that
/// the registers belong to.
template <class Registers>
struct Card {
  Registers regs;
  std::shared_ptr<ContextState> context;
  std::string name;  ///< the port's URI, for messages
  /// The card's queue that is the port's queue 0; the others follow it. Not 0 if queues before it belong to virtual
  /// functions.
  std::uint32_t first_queue = 0;

  [[nodiscard]] Clock& clock() const noexcept { return context->clock(); }
  void log(LogLevel level, std::string_view message) const { context->log(level, name, message); }
};

/// [E-LOOPTAG] The format of received frames on a card that swaps the tags of those from another pool or function.
[[nodiscard]] constexpr RxFormat with_looped_tags(RxFormat format) noexcept {
  return static_cast<RxFormat>(static_cast<unsigned>(format) - 4);
}
static_assert(with_looped_tags(RxFormat::intel_advanced) == RxFormat::intel_looped_tag);
static_assert(with_looped_tags(RxFormat::intel_inner_tag) == RxFormat::intel_looped_inner_tag);
static_assert(with_looped_tags(RxFormat::intel_assigned_tag) == RxFormat::intel_looped_assigned_tag);

[[nodiscard]] inline tl::unexpected<Error> fail_removed(std::string_view name) {
  return fail(ErrorCode::device_removed, fmt::format("{}: the card was removed: its registers read all ones", name),
              "close the port; if the card is still in its slot, reset the slot and open it again");
}

/// Maps BAR `bar` with the card's registers and resets the function if the backend supports that. Errors: device_fault
/// (the BAR has fewer than `bytes`), and those of Device::bar and Device::reset.
[[nodiscard]] inline Result<Bar> map_and_reset(Device& device, unsigned bar, std::uint32_t bytes) {
  auto window = device.bar(bar);
  if (!window) return window;
  if (window->size() < bytes) {
    return fail(
        ErrorCode::device_fault,
        fmt::format("{}: the register BAR has {} bytes and should have {}", device.name(), window->size(), bytes),
        "the device is not the card that its vendor and device id name");
  }
  if (auto reset = device.reset(); !reset && reset.error().code != ErrorCode::not_supported) {
    return pass_on(std::move(reset));
  }
  return window;
}

/// Waits for `condition`, at most `limit`. A removed card reads all ones, which can fulfil any condition, so removal is
/// checked last. Errors: device_removed, timeout ("NAME: WHAT did not happen within ...").
template <class Registers, std::predicate Condition>
[[nodiscard]] Result<void> wait_for(const Card<Registers>& card, std::string_view what, Duration limit,
                                    Condition condition, Duration interval = microseconds(50)) {
  const auto waited = wait_until(card.clock(), what, limit, std::move(condition), interval);
  if (card.regs.removed()) return fail_removed(card.name);
  if (waited) return {};
  return timed_out(fmt::format("{}: {}", card.name, what), limit);
}

/// Call the register window's functions without the keyword `template`.
template <class R, class Registers>
[[nodiscard]] typename R::Value read_register(const Card<Registers>& card, std::uint32_t index = 0) {
  return card.regs.template read<R>(index);
}
template <class R, class Registers>
void write_register(const Card<Registers>& card, std::uint32_t index, typename R::Value value) {
  card.regs.template write<R>(index, value);
}

/// Reads a register that is never all ones on a live card. Retries once: one failed PCIe read also returns all ones.
/// Writing that value back with some bits changed would set all other bits. Returns all ones if the card was removed.
template <class R, class Registers>
[[nodiscard]] typename R::Value read_with_retry(const Card<Registers>& card, std::uint32_t index = 0) {
  const auto value = card.regs.template read<R>(index);
  return value.all_ones() ? card.regs.template read<R>(index) : value;
}

/// Changes the fields of `setting` in a register. Does nothing if the card was removed.
template <class R, class Registers>
void modify(const Card<Registers>& card, typename R::Setting setting, std::uint32_t index = 0) {
  const auto value = read_with_retry<R>(card, index);
  if (!value.all_ones()) card.regs.template write<R>(index, value.with(setting));
}
template <class R, class Registers>
void clear(const Card<Registers>& card, typename R::Setting setting, std::uint32_t index = 0) {
  const auto value = read_with_retry<R>(card, index);
  if (!value.all_ones()) card.regs.template write<R>(index, value.without(setting));
}

/// Checks that the bits of `mask` read as they were written. For registers that say where the card may write.
/// Errors: device_removed, device_fault.
template <class R, class Registers>
[[nodiscard]] Result<void> check_written(const Card<Registers>& card, std::string_view name, std::uint32_t index,
                                         std::uint32_t written, std::uint32_t mask = ~std::uint32_t{0}) {
  const std::uint32_t value = read_with_retry<R>(card, index).raw();
  if ((value & mask) == (written & mask)) return {};
  if (card.regs.removed()) return fail_removed(card.name);
  return fail(ErrorCode::device_fault,
              fmt::format("{}: {}[{}] reads {:#x} after {:#x} was written", card.name, name, index, value, written),
              "start the port again; if the error persists, reset the slot");
}

}  // namespace pollux::drivers::intel
