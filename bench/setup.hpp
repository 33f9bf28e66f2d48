// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>

#include "pollux/net/burst_mode.hpp"

namespace pollux::bench {

/// The parameters of a case. The defaults are those of the table in docs/performance-details.md.
struct Setup {
  BurstMode mode = BurstMode::scalar;
  std::uint32_t burst = 32;   ///< frames per call; with `trickle`, frames that arrive at once
  std::uint32_t frame = 64;   ///< bytes
  std::uint32_t ring = 512;   ///< descriptors of each ring
  std::uint32_t pool = 8192;  ///< mbufs
  std::uint16_t queues = 1;   ///< receive queues, and as many transmit queues, polled in turn
  /// The data that the card accessed is in no cache. Otherwise it is in this core's cache.
  bool cold = false;
  /// Only a few frames arrive at a time, and each burst is timed alone, so that it does not overlap with the one
  /// before. Otherwise there is a backlog.
  bool trickle = false;
  /// All mbufs of the pool are used in turn, as when an application keeps frames for long. Otherwise the cache, which
  /// is a stack, returns the mbufs used last, and the size of the pool does not matter.
  bool rotate = false;

  /// The card reports a hash, a type and two good checksums with each frame. Otherwise it reports only the length.
  bool marked = false;
  /// The card puts the 54 bytes of headers of each frame into a buffer of another pool (RxQueueConfig::header_pool).
  bool split = false;
  bool is_82574 = false;      ///< in place of an 82576
  std::uint32_t eighths = 7;  ///< eighths of a ring that have been filled before the first burst

  static constexpr std::uint32_t kBuffer = 2048;
  static constexpr std::uint32_t kMaxBurst = 64;

  /// Buffers per frame.
  [[nodiscard]] constexpr std::uint32_t segments() const noexcept { return (frame + kBuffer - 1) / kBuffer; }
  /// Frames per queue and round. The card works between rounds.
  [[nodiscard]] constexpr std::uint32_t frames() const noexcept {
    if (trickle) return burst;
    const std::uint32_t frames = ring / 8 * eighths / segments();
    return frames < burst ? frames : frames / burst * burst;
  }
  /// The limit of frames per call.
  [[nodiscard]] constexpr std::uint32_t limit() const noexcept { return trickle ? kMaxBurst : burst; }
  /// Rounds after which every ring is at the same slot again, so that counts over them repeat exactly.
  [[nodiscard]] constexpr std::uint32_t rounds() const noexcept { return ring / std::gcd(ring, frames() * segments()); }
};

inline constexpr std::array<BurstMode, 3> kModes{BurstMode::scalar, BurstMode::avx2, BurstMode::avx512};

}  // namespace pollux::bench
