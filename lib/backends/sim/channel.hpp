// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "pollux/backends/sim/wire.hpp"

namespace pollux::sim {

/// A generator of random numbers whose sequence is the same everywhere (splitmix64: Steele, Lea and Flood, 2014).
class Dice {
 public:
  explicit Dice(std::uint64_t seed) noexcept : state_(seed) {}
  [[nodiscard]] std::uint64_t roll() noexcept {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t value = state_;
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9U;
    value = (value ^ value >> 27) * 0x94D049BB133111EBU;
    return value ^ value >> 31;
  }
  /// True with that probability.
  [[nodiscard]] bool happens(double probability) noexcept {
    return static_cast<double>(roll() >> 11) * 0x1.0p-53 < probability;
  }

 private:
  std::uint64_t state_;
};

/// One direction of a wire that does something to frames: they go in at one time and come out at another, or not.
/// Thread rule: one thread at a time; the wire's lock is held.
class Channel {
 public:
  struct Frame {
    std::vector<std::byte> bytes;
    bool corrupt = false;  ///< its frame check sequence no longer fits
  };
  /// A sender is held up while this many frames wait for their turn to be sent.
  static constexpr std::size_t kBacklog = 64;
  /// Frames in one direction at most, on the way and waiting.
  static constexpr std::size_t kCapacity = 1 << 16;

  /// `direction` keeps the two directions' draws apart.
  Channel(const WireOptions& options, unsigned direction) : options_(options), dice_(options.seed * 2 + direction) {}

  /// A frame (without FCS) is sent at `now`. What happens to it is counted.
  void put(std::span<const std::byte> frame, Duration now, WireCounters& counters);
  /// The next frame that has arrived by `now`, in order of arrival.
  [[nodiscard]] std::optional<Frame> take(Duration now, WireCounters& counters);

  /// When the next frame arrives; Duration::max() if none is under way.
  [[nodiscard]] Duration next() const noexcept;
  /// Whether a sender that can wait should: until `free_at`, or until a frame arrives if there is no more room.
  [[nodiscard]] bool congested(Duration now) const noexcept { return full() || free_at() > now; }
  [[nodiscard]] Duration free_at() const noexcept { return full() ? Duration::max() : sent_at_ - backlog_time_; }

 private:
  /// No room for another frame and its second copy.
  [[nodiscard]] bool full() const noexcept { return flying_.size() + held_.size() + 2 > kCapacity; }
  /// By arrival, then by the order in which they were sent.
  using Arrival = std::pair<Duration, std::uint64_t>;
  struct Held {
    Frame frame;
    Duration arrival{0};
    Duration until{0};
    unsigned overtakers = 0;
  };

  void send(Frame frame, Duration arrival, WireCounters& counters);
  void fly(Frame frame, Duration arrival);
  void pass_held(Duration arrival);
  void release_held(Duration now);
  [[nodiscard]] Duration time_on_wire(std::size_t bytes) const noexcept;
  [[nodiscard]] static bool change_a_byte(Frame& frame, std::size_t from, std::uint64_t roll);

  WireOptions options_;
  Dice dice_;
  std::map<Arrival, Frame> flying_;
  std::deque<Held> held_;  // taken out of the order, in the order in which they were sent
  std::uint64_t sequence_ = 0;
  Duration sent_at_{0};       // when the last frame's last bit is sent
  Duration backlog_time_{0};  // what kBacklog frames of the last one's length take
};

}  // namespace pollux::sim
