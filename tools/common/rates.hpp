// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace pollux::tools {

/// Bytes that the card adds to a frame in memory: the frame check sequence.
inline constexpr std::uint64_t kFcsBytes = 4;

struct Traffic {
  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;  ///< as in memory, without FCS

  void add(std::uint64_t more_frames, std::uint64_t more_bytes) noexcept {
    frames += more_frames;
    bytes += more_bytes;
  }
  [[nodiscard]] friend Traffic operator-(const Traffic& later, const Traffic& earlier) noexcept {
    return {later.frames - earlier.frames, later.bytes - earlier.bytes};
  }
};

struct Rate {
  double mpps = 0;  ///< million frames per second
  double mbps = 0;  ///< million bits of frames per second, with FCS, without preamble and gap
};

/// Zero if no time has passed.
[[nodiscard]] Rate rate_of(const Traffic& traffic, double seconds) noexcept;

}  // namespace pollux::tools
