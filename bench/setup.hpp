// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>

#include "pollux/net/burst_mode.hpp"

namespace pollux::bench {

/// What a case runs on. The defaults are those of docs/performance.md's table.
struct Setup {
  BurstMode path = BurstMode::scalar;
  std::uint32_t burst = 32;   ///< frames a call is asked for; with `trickle`, that arrive at once
  std::uint32_t frame = 64;   ///< bytes
  std::uint32_t ring = 512;   ///< descriptors, each way
  std::uint32_t pool = 8192;  ///< mbufs
  std::uint16_t queues = 1;   ///< each way, polled one after the other
  /// What the card touched is in no cache. Otherwise it is in this core's.
  bool cold = false;
  /// A few frames at a time, each burst timed alone: nothing overlaps with the burst before. Otherwise there is
  /// a backlog.
  bool trickle = false;
  /// All of the pool's mbufs are used in turn, as where an application keeps frames for long. Otherwise the cache, a
  /// stack, hands those out that were used last, and the size of the pool plays no part.
  bool rotate = false;

  /// The card reports a hash, a type and two good checksums with each frame. Otherwise nothing but its length.
  bool marked = false;
  std::uint32_t eighths = 7;  ///< of a ring that have arrived when the first burst is asked for

  static constexpr std::uint32_t kBuffer = 2048;
  static constexpr std::uint32_t kMaxBurst = 64;

  /// Buffers that a frame takes.
  [[nodiscard]] constexpr std::uint32_t segments() const noexcept { return (frame + kBuffer - 1) / kBuffer; }
  /// Frames for each queue a round, that is until the card's turn comes again.
  [[nodiscard]] constexpr std::uint32_t frames() const noexcept {
    if (trickle) return burst;
    const std::uint32_t frames = ring / 8 * eighths / segments();
    return frames < burst ? frames : frames / burst * burst;
  }
  /// The most frames that a call is asked for.
  [[nodiscard]] constexpr std::uint32_t limit() const noexcept { return trickle ? kMaxBurst : burst; }
  /// Rounds after which every ring stands where it stood: what is counted over them repeats exactly.
  [[nodiscard]] constexpr std::uint32_t rounds() const noexcept { return ring / std::gcd(ring, frames() * segments()); }
};

inline constexpr std::array<BurstMode, 3> kPaths{BurstMode::scalar, BurstMode::avx2, BurstMode::avx512};

}  // namespace pollux::bench
