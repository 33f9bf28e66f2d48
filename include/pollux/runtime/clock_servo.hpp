// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"

namespace pollux {

/// The four stamps of one exchange with a master clock (IEEE 1588-2008, 11.3): Sync from the master, Delay_Req to it.
struct ClockExchange {
  Time sync_sent{0};         ///< by the master's clock
  Time sync_received{0};     ///< by the local clock
  Time request_sent{0};      ///< by the local clock
  Time request_received{0};  ///< by the master's clock
};

/// What to do with the local clock.
struct ClockCorrection {
  Duration step{0};      ///< for PortClock::adjust_time, unless 0
  double frequency = 0;  ///< for Settings::clock_frequency, in parts per billion
};

/// How fast the servo follows, and what it believes.
struct ClockServoOptions {
  /// Exchanges from which offset and frequency are estimated, 2 to 65,536. More of them average more jitter.
  std::size_t window = 256;
  /// Offsets beyond this are removed by a step, others by the frequency.
  Duration step_threshold = std::chrono::microseconds(100);
  /// The time in which the frequency removes an offset; at least the time between two exchanges is used. An offset that
  /// needs less than half a step of the clock's frequency stays: 6 ns with a step of 119 ppb and this time.
  Duration slew_time = std::chrono::milliseconds(100);
  double max_frequency = 500'000;      ///< parts per billion
  Duration resolution = Duration(16);  ///< of the stamps
};

/// Makes a clock follow another one: computes corrections from exchanges of stamps. It fits a straight line to the
/// offsets of the last exchanges, as they would be without its corrections: the line's end is the offset, and its
/// slope is what the oscillators differ by. An exchange counts less if it took longer than the shortest one, since
/// delays by queues are not symmetric. It has no thread, no clock and no port, and allocates only when it is created.
///
///     if (auto correction = servo.update(exchange, *port.settings().clock_frequency)) {
///       if (correction->step != Duration(0)) clock->adjust_time(correction->step);
///       port.change([&](Settings& settings) { settings.clock_frequency = correction->frequency; });
///     }
///
/// Thread rule: one thread at a time.
class POLLUX_API ClockServo {
 public:
  /// A `window` outside its range becomes the nearest in it.
  explicit ClockServo(const ClockServoOptions& options = {});

  /// Call it with each exchange, in order. `frequency`: the local clock's in parts per billion, in force since the last
  /// exchange. Apply the correction before the next one. Empty: the stamps contradict each other; see `rejected`.
  [[nodiscard]] std::optional<ClockCorrection> update(const ClockExchange& exchange, double frequency);

  /// The local clock less the master's in nanoseconds, estimated from the window; 0 before the first exchange.
  [[nodiscard]] double offset() const noexcept { return offset_; }
  /// The shortest mean path delay in the window, in nanoseconds.
  [[nodiscard]] double path_delay() const noexcept { return path_delay_; }
  /// Exchanges whose stamps contradict each other: a message that arrived before it was sent, or time that ran back.
  [[nodiscard]] std::uint64_t rejected() const noexcept { return rejected_; }
  /// Forgets all exchanges, for example after another master was chosen.
  void reset() noexcept;

 private:
  /// One exchange by the local oscillator, in nanoseconds: as if the clock had never been corrected.
  struct Sample {
    double at = 0;
    double offset = 0;
    double delay = 0;
  };
  struct Measured {
    Duration offset{0};
    Duration delay{0};  // mean of both directions
  };
  struct Line {
    double offset = 0;  // at the last sample
    double slope = 0;
  };
  [[nodiscard]] std::optional<Measured> measure(const ClockExchange& exchange) const;
  void pass_time(Time local, double frequency);
  void store(const Sample& sample);
  [[nodiscard]] Line fit();
  [[nodiscard]] double weight(const Sample& sample, double scale) const noexcept;

  ClockServoOptions options_;
  std::vector<Sample> samples_;  // a ring of `window`, as far as it is filled
  std::size_t next_ = 0;
  std::optional<Time> last_local_;
  double now_ = 0;        // by the local oscillator, since the first exchange
  double interval_ = 0;   // between the last two exchanges
  double corrected_ = 0;  // what frequency corrections have added so far
  double offset_ = 0;
  double path_delay_ = 0;
  std::uint64_t rejected_ = 0;
};

}  // namespace pollux
