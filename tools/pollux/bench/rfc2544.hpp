// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/histogram.hpp"
#include "bench/search.hpp"
#include "bench/trial.hpp"

namespace pollux::tool::bench {

/// The frame sizes for Ethernet, with the frame check sequence: RFC 2544, 9.1.
inline constexpr std::uint32_t kRfcSizes[] = {64, 128, 256, 512, 1024, 1280, 1518};

/// What to measure and how. The durations and counts of RFC 2544 are in `rfc_options`.
struct TableOptions {
  std::vector<std::uint32_t> sizes{std::begin(kRfcSizes), std::end(kRfcSizes)};  ///< bytes, with FCS
  bool throughput = true;
  bool latency = true;  ///< at the throughput, which is then measured, too
  bool frame_loss = true;
  bool back_to_back = true;
  Duration duration{0};  ///< of a trial
  Duration latency_duration{0};
  Duration burst_duration{0};  ///< of the longest burst
  Duration wait{0};            ///< for late frames after each trial
  std::uint32_t latency_repeats = 1;
  std::uint32_t burst_repeats = 1;
  ThroughputOptions search;
};

/// RFC 2544: trials of at least 60 s (24), latency of 120 s and 20 times (26.2), bursts of at least 2 s and 50 times
/// (26.4), and 2 s for late frames (23).
[[nodiscard]] TableOptions rfc_options();
/// Trials of 20 ms, which in-process cards carry in a moment.
[[nodiscard]] TableOptions virtual_time_options();
/// Trials of a second.
[[nodiscard]] TableOptions real_time_options();

/// The results for one frame size. What was not measured is empty.
struct SizeResult {
  std::uint32_t size = 0;
  std::uint64_t line_frames = 0;  ///< frames per second at the line rate
  std::optional<Throughput> throughput;
  std::optional<LatencyHistogram> latency;  ///< empty, too, if no load passed
  std::uint64_t latency_lost = 0;           ///< frames that were lost while the latency was measured
  std::vector<LoadTrial> frame_loss;
  std::vector<std::uint64_t> bursts;  ///< the longest burst without loss, of each repeat
  std::uint64_t burst_limit = 0;      ///< frames: no longer burst was tried
  std::uint64_t duplicated = 0;       ///< in all trials
  std::uint64_t reordered = 0;
  std::uint64_t corrupt = 0;

  /// A load at or below the throughput lost frames in another trial: the result depends on luck, or the device forwards
  /// more at a higher load.
  [[nodiscard]] bool contradicted() const;
};

/// Frames per second at a load of the line rate.
[[nodiscard]] std::uint64_t frames_per_second(std::uint64_t line_rate, std::uint32_t size, Load load) noexcept;
/// Frames that fit into `duration` at that load, at least one.
[[nodiscard]] std::uint64_t frames_in(Duration duration, std::uint64_t line_rate, std::uint32_t size,
                                      Load load) noexcept;

/// Measures each size in turn. `progress` gets a line before each step; it may be empty. Errors: those of the trials.
[[nodiscard]] Result<std::vector<SizeResult>> measure_table(TestBed& bed, TrialRunner& runner,
                                                            const TableOptions& options,
                                                            const std::function<void(const std::string&)>& progress);

}  // namespace pollux::tool::bench
