// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "pollux/base/clock.hpp"

namespace pollux::files {

/// A time stamp of a capture file, which may be any number.
struct Stamp {
  std::int64_t seconds = 0;
  std::int64_t nanoseconds = 0;
};

/// Makes times from stamps, as CaptureFileReader documents it.
class CaptureClock {
 public:
  /// Interfaces write their frames in blocks, and several queues or processors share an interface: by this, frames may
  /// be out of order. A clock was set back by more.
  static constexpr Duration kMostReordered = std::chrono::seconds(1);

  /// The time of a frame, from the first one on; nullopt if that is too far from it.
  [[nodiscard]] std::optional<Duration> time_of(const Stamp& stamp, std::uint32_t interface);
  /// The times of the next round of the same file begin `gap` after the latest one.
  void begin_round(Duration gap);
  /// The latest time of the round, from its first frame on.
  [[nodiscard]] Duration round_length() const noexcept { return latest_ - round_start_; }

 private:
  struct Interface {
    Duration last = Duration::min();  // min: no frame yet
    Duration set_back{0};             // by how much its clock was set back so far
  };

  std::optional<Stamp> first_;
  Duration round_start_{0};
  Duration latest_{0};
  std::vector<Interface> interfaces_;
};

}  // namespace pollux::files
