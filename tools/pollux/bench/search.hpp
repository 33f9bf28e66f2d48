// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "pollux/base/error.hpp"

/// The procedures of RFC 2544, section 26, over a function that makes one trial. They know no port and no clock.
namespace pollux::tool::bench {

/// An offered load in millionths of the line rate.
using Load = std::uint32_t;
inline constexpr Load kFullLoad = 1'000'000;

/// The frames of one trial.
struct TrialCounts {
  std::uint64_t intended = 0;  ///< frames that the load and the duration ask for
  std::uint64_t sent = 0;      ///< frames that the sending port took
  std::uint64_t received = 0;  ///< different frames of this trial that arrived unchanged
  bool in_time = true;         ///< they were sent at the intended rate

  /// Whether all frames were sent as intended and arrived.
  [[nodiscard]] bool passed() const noexcept { return in_time && sent == intended && received == sent; }
  /// The load was not offered: the sender is the limit, not the device under test.
  [[nodiscard]] bool sender_limited() const noexcept { return !in_time || sent != intended; }
  [[nodiscard]] std::uint64_t lost() const noexcept { return sent - received; }
};

struct LoadTrial {
  Load load = 0;
  TrialCounts counts;
};

using LoadFunction = std::function<Result<TrialCounts>(Load load)>;

struct ThroughputOptions {
  Load max = kFullLoad;
  /// The search ends when a load that passes and one that fails are at most this far apart. At least 1. Also the lowest
  /// load that is tried.
  Load resolution = 1000;
  /// How many more trials the result has to pass. One that fails makes its load a failing one; the search goes on below
  /// it, half as exactly.
  std::uint32_t confirmations = 1;
};

struct Throughput {
  Load load = 0;  ///< the highest load found that passes; 0: none did
  std::vector<LoadTrial> trials;

  /// A load at or below the result failed, too: the device is noisy or not monotonic.
  [[nodiscard]] bool contradicted() const noexcept;
  /// At the lowest load that failed, the sender did not offer that load.
  [[nodiscard]] bool sender_limited() const noexcept;
};

/// RFC 2544, 26.1, by bisection: the highest load at which every frame sent is received. It finds one boundary between
/// passing and failing, and each load is tried a bounded number of times. Errors: those of `trial`.
[[nodiscard]] Result<Throughput> find_throughput(const ThroughputOptions& options, const LoadFunction& trial);

/// RFC 2544, 26.3: starts at `max`, and reduces the load by a tenth of the line rate until two successive trials lose
/// nothing or no load is left. Errors: those of `trial`.
[[nodiscard]] Result<std::vector<LoadTrial>> measure_frame_loss(Load max, const LoadFunction& trial);

/// Sends so many frames with the smallest gap.
using BurstTrialFunction = std::function<Result<TrialCounts>(std::uint64_t frames)>;

/// RFC 2544, 26.4: the longest burst of frames, up to `limit`, of which none is lost; 0 if a single frame is lost.
/// Errors: those of `trial`.
[[nodiscard]] Result<std::uint64_t> find_back_to_back(std::uint64_t limit, const BurstTrialFunction& trial);

}  // namespace pollux::tool::bench
