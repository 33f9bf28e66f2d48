// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "common/counted.hpp"
#include "common/rates.hpp"
#include "pktgen/frame_source.hpp"
#include "pktgen/pacer.hpp"
#include "pktgen/time_span.hpp"
#include "pollux/pollux.hpp"

namespace pollux::tools {

/// Sends frames on one queue, one poll at a time.
/// Thread rule: one thread polls; others may read `taken` and `done`, and the rest after it has ended.
class alignas(256) Sender {
 public:
  static constexpr std::uint32_t kMaxBurst = 512;

  struct Options {
    std::uint32_t burst = 32;
    std::uint64_t count = UINT64_MAX;  ///< the most frames to send
    Pace pace = {};
  };

  /// `cache` is the cache that the queue uses. `clock` outlives the object.
  Sender(TxQueue& queue, MempoolCache& cache, Clock& clock, std::unique_ptr<FrameSource> frames,
         const Options& options);

  /// Sends the frames that are due; never waits. Frames that a full queue does not take are sent with the next poll.
  void poll() noexcept;
  /// Whether the queue has taken all frames.
  [[nodiscard]] bool done() const noexcept {
    return taken_.value() >= options_.count || ended_.load(std::memory_order_relaxed);
  }
  /// Frees the frames that were built but not taken; counts them as "unsent".
  void finish() noexcept { burst_.drop(unsent_, *cache_); }

  /// Frames that the queue took, which may be refused or lost later.
  [[nodiscard]] Traffic taken() const noexcept { return {taken_.value(), taken_bytes_.value()}; }
  [[nodiscard]] const DropCounter& unsent() const noexcept { return unsent_; }
  /// Frames built: taken or unsent.
  [[nodiscard]] std::uint64_t built() const noexcept { return built_; }
  /// Frames built that the queue has not taken yet.
  [[nodiscard]] std::uint32_t pending() const noexcept { return burst_.size(); }
  /// From the first to the last frame that the queue took.
  [[nodiscard]] const TimeSpan& busy() const noexcept { return busy_; }
  /// How well the frames kept their slots.
  [[nodiscard]] const Pacer& pacer() const noexcept { return pacer_; }

 private:
  void build() noexcept;
  void build_burst(std::uint32_t limit) noexcept;
  void build_due(std::uint32_t limit) noexcept;
  [[nodiscard]] bool build_next(Mbuf& mbuf, std::uint32_t place) noexcept;
  void count_taken(std::uint32_t taken) noexcept;

  TxQueue* queue_;
  MempoolCache* cache_;
  Clock* clock_;
  std::unique_ptr<FrameSource> frames_;
  Pacer pacer_;
  Options options_;
  Burst<kMaxBurst> burst_;
  std::array<std::uint32_t, kMaxBurst> lengths_{};  // of the frames of the burst when it was built
  std::uint32_t gone_ = 0;                          // frames of that burst that the queue took
  DropCounter unsent_{"unsent"};
  Counted taken_;
  Counted taken_bytes_;
  std::atomic<bool> ended_{false};  // there is no other frame
  std::uint64_t built_ = 0;
  TimeSpan busy_;
};

}  // namespace pollux::tools
