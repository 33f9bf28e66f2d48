// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "bench/histogram.hpp"
#include "bench/search.hpp"
#include "bench/test_bed.hpp"
#include "common/frame.hpp"
#include "common/slot_schedule.hpp"
#include "pktgen/sequence_tracker.hpp"

namespace pollux::tool::bench {

struct TrialRequest {
  std::uint32_t size = 64;  ///< bytes of a frame, with the frame check sequence
  Load load = kFullLoad;    ///< millionths of the line rate
  std::uint64_t frames = 1;
  Duration wait{0};  ///< how long after the last frame was sent late ones are waited for
};

struct TrialResult {
  TrialCounts counts;
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;
  std::uint64_t corrupt = 0;  ///< changed on the way
  LatencyHistogram latency;   ///< nanoseconds from tx_burst to rx_burst
};

/// Makes trials on a test bed: sends frames in their slots and counts those that arrive. Thread rule: one thread.
class TrialRunner {
 public:
  /// `stop` ends a trial early with an error; it may be empty. `bed` outlives the object.
  explicit TrialRunner(TestBed& bed, std::function<bool()> stop = {});

  /// Errors: bad_state (stopped), and those of ports that fail.
  [[nodiscard]] Result<TrialResult> run(const TrialRequest& request);

 private:
  struct State;

  void send_due(State& state, Time now);
  void build(State& state, std::uint32_t count);
  void receive(State& state, Time now);
  [[nodiscard]] Result<void> step(State& state, Time now);

  /// Send times are kept for as many frames.
  static constexpr std::uint64_t kSendTimes = 1U << 20U;

  TestBed& bed_;
  std::function<bool()> stop_;
  tools::FrameChecker checker_;
  std::uint64_t next_sequence_ = 0;  // goes on over all trials, so that late frames of an earlier one are recognised
  std::vector<Time> sent_at_;
  DropCounter unsent_{"bench_unsent"};
  DropCounter consumed_{"bench_consumed"};
};

}  // namespace pollux::tool::bench
