// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"

/// The wire of in-process cards: what it does to frames, and how many it did it to.
namespace pollux::sim {

/// What a wire does to the frames of either direction. The default does nothing: a frame is at the other end before the
/// register write that sent it returns. Probabilities are from 0 to 1, one draw a frame each, from `seed` and the
/// direction: with a ManualClock the same seed does the same to the same frames.
struct WireOptions {
  std::uint64_t rate = 0;  ///< bits a second, preamble and gap included; 0: endless. The card is held up, loses nothing
  Duration delay{0};       ///< from a frame's last bit sent to its arrival, at most kMaxDelay
  double loss = 0;         ///< it never arrives
  double corrupt = 0;      ///< a byte is changed, which the receiving card sees by the frame check sequence
  double mangle = 0;       ///< a byte behind the addresses is changed and nothing tells
  double duplicate = 0;    ///< it arrives twice
  double reorder = 0;      ///< kOvertakers frames go past it, fewer if they do not come within kHoldTime
  std::uint64_t seed = 1;

  static constexpr Duration kMaxDelay = std::chrono::seconds(10);
  static constexpr unsigned kOvertakers = 3;
  static constexpr Duration kHoldTime = std::chrono::milliseconds(1);
  static constexpr std::uint64_t kMinRate = 1000;

  /// Whether it does nothing at all.
  [[nodiscard]] bool plain() const noexcept {
    return rate == 0 && delay == Duration(0) && loss == 0 && corrupt == 0 && mangle == 0 && duplicate == 0 &&
           reorder == 0;
  }
  friend bool operator==(const WireOptions&, const WireOptions&) = default;
};

/// Error invalid_argument, which names the value and its range.
[[nodiscard]] POLLUX_API Result<void> check(const WireOptions& options);

/// What became of the frames that came out of one end. entered + duplicated = carried + lost + dropped_unopened +
/// dropped_overflow + dropped_link_partner + in_flight; the others tell of frames that these count, too.
struct WireCounters {
  std::uint64_t entered = 0;               ///< frames that were sent into the wire
  std::uint64_t carried = 0;               ///< frames handed to what is at the other end
  std::uint64_t lost = 0;                  ///< by WireOptions::loss
  std::uint64_t duplicated = 0;            ///< second copies
  std::uint64_t dropped_unopened = 0;      ///< frames for a card that no port has opened
  std::uint64_t dropped_overflow = 0;      ///< for want of room in the wire: a sender that cannot be held up
  std::uint64_t dropped_link_partner = 0;  ///< the TAP, socket or file at the other end did not take them
  std::uint64_t in_flight = 0;             ///< still on their way
  std::uint64_t corrupted = 0;  ///< changed, as the receiver can see; those that got that far are in `carried`
  std::uint64_t mangled = 0;    ///< changed behind the receiver's back
  std::uint64_t reordered = 0;  ///< held back until others had gone past
};

/// The counters of the frames that came out of the card `sim:card`. Error not_found if its wire was never opened.
/// Thread rule: any thread.
[[nodiscard]] POLLUX_API Result<WireCounters> wire_counters(Context& context, unsigned card);
/// The same of the frames on their way to it: from the other card, or from the TAP, socket or file.
[[nodiscard]] POLLUX_API Result<WireCounters> wire_counters_towards(Context& context, unsigned card);

}  // namespace pollux::sim
