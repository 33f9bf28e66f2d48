// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "common/frame.hpp"
#include "common/rates.hpp"
#include "pktgen/pacer.hpp"
#include "pollux/pollux.hpp"

namespace pollux::examples {

/// Sends numbered frames on one queue, one poll at a time.
/// Thread rule: one thread polls; the others read nothing but `frames_taken`.
class Sender {
 public:
  static constexpr std::uint32_t kMaxBurst = 512;

  struct Options {
    std::uint32_t burst = 32;
    std::uint64_t count = UINT64_MAX;  ///< total number of frames to send
  };

  /// `cache` is the cache that the queue uses.
  Sender(TxQueue& queue, MempoolCache& cache, FrameBuilder builder, Pacer pacer, const Options& options);

  /// Sends the frames that are due; never waits. Frames that a full queue does not take are sent with the next poll.
  void poll() noexcept;
  /// Whether the queue has taken all frames.
  [[nodiscard]] bool done() const noexcept { return taken_.frames >= options_.count; }
  /// Frees the frames that were built but not taken; counts them as "unsent".
  void finish() noexcept { burst_.drop(unsent_, *cache_); }

  /// Frames that the queue took, which may be refused or lost later. Their numbers are 0 to frames - 1.
  [[nodiscard]] const Traffic& taken() const noexcept { return taken_; }
  [[nodiscard]] const DropCounter& unsent() const noexcept { return unsent_; }
  /// Frames built: taken or unsent.
  [[nodiscard]] std::uint64_t built() const noexcept { return next_sequence_; }
  /// Between the first and the last frame that the queue took.
  [[nodiscard]] std::uint64_t ticks_busy() const noexcept { return last_tick_ - first_tick_; }

 private:
  void build(std::uint64_t now) noexcept;

  TxQueue* queue_;
  MempoolCache* cache_;
  FrameBuilder builder_;
  Pacer pacer_;
  Options options_;
  Burst<kMaxBurst> burst_;
  DropCounter unsent_{"unsent"};
  Traffic taken_;
  std::uint64_t next_sequence_ = 0;
  std::uint64_t first_tick_ = 0;
  std::uint64_t last_tick_ = 0;
};

}  // namespace pollux::examples
