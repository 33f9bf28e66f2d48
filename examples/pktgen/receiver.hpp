// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "common/frame.hpp"
#include "common/rates.hpp"
#include "pktgen/sequence_tracker.hpp"
#include "pollux/pollux.hpp"

namespace pollux::examples {

/// Counts the frames that one queue receives, and checks them on request, one poll at a time.
/// Thread rule: one thread.
class Receiver {
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
  [[nodiscard]] const Traffic& received() const noexcept { return received_; }
  [[nodiscard]] bool done() const noexcept { return received_.frames >= options_.limit; }
  /// Frames of pktgen, also damaged ones, for which a sender waits. Without `check` all frames.
  [[nodiscard]] std::uint64_t ours() const noexcept { return received_.frames - foreign_; }
  /// Frames of pktgen that arrived unchanged. Without `check` all frames.
  [[nodiscard]] std::uint64_t good() const noexcept { return options_.check ? good_ : received_.frames; }
  [[nodiscard]] std::uint64_t corrupt() const noexcept { return corrupt_; }
  [[nodiscard]] std::uint64_t foreign() const noexcept { return foreign_; }
  [[nodiscard]] const SequenceTracker& sequences() const noexcept { return sequences_; }
  [[nodiscard]] std::uint64_t polls() const noexcept { return polls_; }
  [[nodiscard]] std::uint64_t empty_polls() const noexcept { return empty_polls_; }
  /// Between the first and the last burst that was not empty.
  [[nodiscard]] std::uint64_t ticks_busy() const noexcept { return last_tick_ - first_tick_; }

 private:
  void check(const Mbuf& mbuf);

  RxQueue* queue_;
  MempoolCache* cache_;
  Options options_;
  Burst<kMaxBurst> burst_;
  // Not an error: the frame has arrived at its destination.
  DropCounter consumed_{"consumed"};
  FrameChecker checker_;
  SequenceTracker sequences_;
  Traffic received_;
  std::uint64_t good_ = 0;
  std::uint64_t corrupt_ = 0;
  std::uint64_t foreign_ = 0;
  std::uint64_t polls_ = 0;
  std::uint64_t empty_polls_ = 0;
  std::uint64_t first_tick_ = 0;
  std::uint64_t last_tick_ = 0;
};

}  // namespace pollux::examples
