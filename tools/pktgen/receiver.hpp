// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "common/counted.hpp"
#include "common/frame.hpp"
#include "common/rates.hpp"
#include "pktgen/sequence_tracker.hpp"
#include "pktgen/time_span.hpp"
#include "pollux/pollux.hpp"

namespace pollux::tools {

/// Counts the frames that one queue receives, and checks them on request, one poll at a time.
/// Thread rule: one thread polls; others may read the number of frames, and the rest after it has ended.
class alignas(256) Receiver {
 public:
  static constexpr std::uint32_t kMaxBurst = 512;

  struct Options {
    std::uint32_t burst = 32;
    bool check = false;
    std::uint64_t limit = UINT64_MAX;  ///< total number of frames to receive, of any sender
  };

  /// `cache` is the cache that the queue uses.
  Receiver(RxQueue& queue, MempoolCache& cache, const Options& options);

  /// Receives arrived frames, up to the limit; returns their number.
  std::uint32_t poll() noexcept;

  /// All received frames.
  [[nodiscard]] Traffic received() const noexcept { return {frames_.value(), bytes_.value()}; }
  [[nodiscard]] bool done() const noexcept { return frames_.value() >= options_.limit; }
  /// Frames of pktgen, also damaged ones, for which a sender waits. Without `check` all frames.
  [[nodiscard]] std::uint64_t ours() const noexcept { return frames_.value() - foreign_.value(); }
  /// Frames of pktgen that arrived unchanged. Without `check` all frames.
  [[nodiscard]] std::uint64_t good() const noexcept { return options_.check ? good_.value() : frames_.value(); }
  [[nodiscard]] std::uint64_t corrupt() const noexcept { return corrupt_; }
  [[nodiscard]] std::uint64_t foreign() const noexcept { return foreign_.value(); }
  [[nodiscard]] const FlowSequences& sequences() const noexcept { return sequences_; }
  [[nodiscard]] std::uint64_t polls() const noexcept { return polls_; }
  [[nodiscard]] std::uint64_t empty_polls() const noexcept { return empty_polls_; }
  /// From the first to the last burst that was not empty.
  [[nodiscard]] const TimeSpan& busy() const noexcept { return busy_; }

 private:
  void check(const Mbuf& mbuf);

  RxQueue* queue_;
  MempoolCache* cache_;
  Options options_;
  Burst<kMaxBurst> burst_;
  // Not an error: the frame has arrived at its destination.
  DropCounter consumed_{"consumed"};
  FrameChecker checker_;
  FlowSequences sequences_;
  Counted frames_;
  Counted bytes_;
  Counted good_;
  Counted foreign_;
  std::uint64_t corrupt_ = 0;
  std::uint64_t polls_ = 0;
  std::uint64_t empty_polls_ = 0;
  TimeSpan busy_;
};

}  // namespace pollux::tools
