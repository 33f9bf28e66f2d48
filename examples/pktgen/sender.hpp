// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "common/counted.hpp"
#include "common/frame.hpp"
#include "common/rates.hpp"
#include "pktgen/pacer.hpp"
#include "pktgen/time_span.hpp"
#include "pollux/pollux.hpp"

namespace pollux::examples {

/// Sends numbered frames of one or more flows in turn on one queue, one poll at a time.
/// Thread rule: one thread polls; others may read `taken` and `done`, and the rest after it has ended.
class Sender {
 public:
  static constexpr std::uint32_t kMaxBurst = 512;

  struct Options {
    std::uint32_t burst = 32;
    std::uint64_t count = UINT64_MAX;  ///< total number of frames to send
  };

  /// `cache` is the cache that the queue uses. `flows` has one builder for each flow, all of one length, at least one.
  Sender(TxQueue& queue, MempoolCache& cache, std::vector<FrameBuilder> flows, Pacer pacer, const Options& options);

  /// Sends the frames that are due; never waits. Frames that a full queue does not take are sent with the next poll.
  void poll() noexcept;
  /// Whether the queue has taken all frames.
  [[nodiscard]] bool done() const noexcept { return taken_.value() >= options_.count; }
  /// Frees the frames that were built but not taken; counts them as "unsent".
  void finish() noexcept { burst_.drop(unsent_, *cache_); }

  /// Frames that the queue took, which may be refused or lost later.
  [[nodiscard]] Traffic taken() const noexcept { return {taken_.value(), taken_.value() * flows_.front().length()}; }
  [[nodiscard]] const DropCounter& unsent() const noexcept { return unsent_; }
  /// Frames built: taken or unsent.
  [[nodiscard]] std::uint64_t built() const noexcept { return built_; }
  /// From the first to the last frame that the queue took.
  [[nodiscard]] const TimeSpan& busy() const noexcept { return busy_; }

 private:
  void build(std::uint64_t now) noexcept;

  TxQueue* queue_;
  MempoolCache* cache_;
  std::vector<FrameBuilder> flows_;
  Pacer pacer_;
  Options options_;
  Burst<kMaxBurst> burst_;
  DropCounter unsent_{"unsent"};
  Counted taken_;
  std::uint64_t built_ = 0;
  std::size_t next_flow_ = 0;
  std::uint64_t next_sequence_ = 0;  // in that flow
  TimeSpan busy_;
};

}  // namespace pollux::examples
