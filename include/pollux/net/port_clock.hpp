// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/capability.hpp"

namespace pollux {

/// What a port's clock can do.
struct PortClockLimits {
  double max_frequency = 0;   ///< parts per billion: the frequency can be changed by this much in either direction
  double frequency_step = 0;  ///< parts per billion: a frequency is a multiple of it
  Duration tick{0};           ///< the clock advances in steps of this length
};

/// Capability (see capability.hpp): the card's own clock, with which it stamps frames (FrameStamps). It counts
/// nanoseconds from any origin that the program chooses; PTP counts from 1 January 1970 TAI. It runs, from 0 on, once
/// Settings::clock_frequency is set, while the port is open, started or not.
///
/// Time and frequency outlive the resets of the card with which a port starts. The card's counter stands still
/// meanwhile, so the Context's clock bridges that time, and the clock may then be wrong by some microseconds.
/// A card's counter may wrap within hours. `Port::service`, or the Context's control tasks, must run more often,
/// which they do if link changes are to be noticed; time then never jumps back.
/// Errors of all calls: bad_state (the clock does not run, or the port is closed), device_removed.
class POLLUX_API PortClock {
 public:
  static constexpr CapabilityId kId{"clock"};

  virtual ~PortClock() = default;
  /// The card's time.
  [[nodiscard]] virtual Result<Time> time() = 0;
  /// Sets the clock. Later stamps follow it, also those of frames that were stamped before and are not read yet.
  /// Error invalid_argument: `time` is negative, or in the last 146 years that the type can hold.
  [[nodiscard]] virtual Result<void> set_time(Time time) = 0;
  /// Adds `offset` to the clock, whatever its rate. Error invalid_argument: it would leave the range of `set_time`.
  [[nodiscard]] virtual Result<void> adjust_time(Duration offset) = 0;
};

}  // namespace pollux
