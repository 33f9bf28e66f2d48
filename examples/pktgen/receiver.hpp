// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "common/frame.hpp"
#include "common/rates.hpp"
#include "pktgen/sequence_tracker.hpp"
#include "pollux/pollux.hpp"

namespace pollux::examples {

/// Counts what one queue receives, and checks it where asked, one poll at a time.
/// Thread rule: one thread.
class Receiver {
 public:
  static constexpr std::uint32_t kMaxBurst = 512;

  struct Options {
    std::uint32_t burst = 32;
    bool check = false;
    std::uint64_t limit = UINT64_MAX;  ///< frames to receive in all, whoever sent them
  };

  /// `cache` is the one that the queue uses.
  Receiver(RxQueue& queue, MempoolCache& cache, const Options& options);

  /// Takes what has arrived, as far as the limit goes; returns how many frames that were.
  std::uint32_t poll() noexcept;

  /// Everything received.
  [[nodiscard]] const Traffic& received() const noexcept { return received_; }
  [[nodiscard]] bool done() const noexcept { return received_.frames >= options_.limit; }
  /// Frames of pktgen's, also damaged ones: what a sender waits for. All frames without `check`.
  [[nodiscard]] std::uint64_t ours() const noexcept { return received_.frames - foreign_; }
  /// Of those, frames of pktgen's that arrived as they were sent. All frames count without `check`.
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
  // Nothing that went wrong: the frame has arrived, and this is where it ends.
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
