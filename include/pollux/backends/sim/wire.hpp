// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"

/// The wire between in-process cards: its options and its counters.
namespace pollux::sim {

/// Rate, delay and impairments of a wire, for both directions. With the defaults a frame arrives before the register
/// write that sends it returns. Probabilities are from 0 to 1 and apply to each frame. Random values depend only on
/// `seed` and the direction, so with a ManualClock the same seed gives the same result for the same frames.
struct WireOptions {
  std::uint64_t rate =
      0;                 ///< bits per second, with preamble and gap; 0: unlimited. The card is paused, no frame is lost
  Duration delay{0};     ///< from a frame's last bit sent to its arrival, at most kMaxDelay
  Duration jitter{0};    ///< a random time up to this is added to each delay, at most kMaxDelay; frames may overtake
  double loss = 0;       ///< probability that a frame is lost
  double corrupt = 0;    ///< that a byte is changed, which the receiver detects by the frame check sequence
  double mangle = 0;     ///< that a byte after the addresses is changed, which the receiver cannot detect
  double duplicate = 0;  ///< that a frame arrives twice
  double reorder = 0;    ///< that kOvertakers frames overtake it, or those that are sent within kHoldTime
  std::uint64_t seed = 1;  ///< of the random values

  static constexpr Duration kMaxDelay = std::chrono::seconds(10);  ///< the longest `delay` and `jitter`
  static constexpr unsigned kOvertakers = 3;                       ///< frames that overtake a reordered one
  /// After which a reordered frame arrives in any case.
  static constexpr Duration kHoldTime = std::chrono::milliseconds(1);
  static constexpr std::uint64_t kMinRate = 1000;  ///< bits per second: the lowest `rate` but 0

  /// True if the wire neither delays nor changes frames.
  [[nodiscard]] bool is_transparent() const noexcept {
    return rate == 0 && delay == Duration(0) && jitter == Duration(0) && loss == 0 && corrupt == 0 && mangle == 0 &&
           duplicate == 0 && reorder == 0;
  }
  friend bool operator==(const WireOptions&, const WireOptions&) = default;
};

/// Error invalid_argument, which names the value and its range.
[[nodiscard]] POLLUX_API Result<void> check(const WireOptions& options);

/// Counters of the frames that one end has sent. entered + duplicated = carried + lost + dropped_unopened +
/// dropped_overflow + dropped_link_partner + in_flight. The other counters classify frames that are counted there, too.
struct WireCounters {
  std::uint64_t entered = 0;               ///< frames sent into the wire
  std::uint64_t carried = 0;               ///< frames delivered to the other end
  std::uint64_t lost = 0;                  ///< by WireOptions::loss
  std::uint64_t duplicated = 0;            ///< second copies
  std::uint64_t dropped_unopened = 0;      ///< frames for a card that no port has opened
  std::uint64_t dropped_overflow = 0;      ///< frames that found the wire full, from a sender that cannot be paused
  std::uint64_t dropped_link_partner = 0;  ///< frames that the TAP, socket or file at the other end did not take, or
                                           ///< of which a file has only a part
  std::uint64_t in_flight = 0;             ///< frames that have not arrived yet
  std::uint64_t corrupted = 0;             ///< changed with a wrong check sequence; also in `carried` if delivered
  std::uint64_t mangled = 0;               ///< changed without a wrong check sequence
  std::uint64_t reordered = 0;             ///< held back so that later frames could overtake
};

/// Counters of the frames that the card `sim:card` has sent. Error not_found if its wire was never opened.
/// Thread rule: any thread.
[[nodiscard]] POLLUX_API Result<WireCounters> wire_counters(Context& context, unsigned card);
/// The same for the frames sent to that card: from the other card, or from the TAP, socket or file.
[[nodiscard]] POLLUX_API Result<WireCounters> wire_counters_towards(Context& context, unsigned card);

}  // namespace pollux::sim
