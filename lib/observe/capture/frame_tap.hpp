// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "net/wire_frame.hpp"
#include "observe/capture/frame_filter.hpp"
#include "observe/capture/frame_ring.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/observe/capture.hpp"

namespace pollux::observe {

/// What the taps of a capture have in common.
struct TapSettings {
  FrameFilter filter = {};
  std::uint32_t snaplen = 0;   ///< bytes that are copied of a frame
  std::size_t ring_bytes = 0;  ///< of each tap's ring
};

/// Copies the frames of bursts that match a filter into a ring. What finds no room there is counted as lost.
/// Thread rule: `stage` and `publish` are called by one thread at a time, and the ring's other side by another one.
class FrameTap {
 public:
  explicit FrameTap(const TapSettings& settings);

  /// Copies the frame with that index in its burst, with `tags`. `now` is the Context's time.
  void stage(const Mbuf& frame, std::uint32_t index, Time now, const WireTags& tags, std::uint16_t flags = 0,
             std::uint16_t reason = 0) noexcept;
  /// The first `count` frames of the burst were received or taken: shows them to the reader. Forgets the others.
  void publish(std::uint32_t count) noexcept;

  [[nodiscard]] FrameRing& ring() noexcept { return ring_; }
  /// Any thread.
  [[nodiscard]] CaptureCounts counts() const noexcept;
  /// Counts frames as lost that were not staged. The next record says so.
  void count_lost(std::uint32_t frames) noexcept;

 private:
  /// The frame's first bytes, contiguous and as on the wire.
  struct Bytes {
    const std::uint8_t* data;
    std::uint32_t held;
    std::uint32_t length;  ///< of the frame
  };
  [[nodiscard]] Bytes bytes_of(const Mbuf& frame, const WireTags& tags) noexcept;

  /// Written by the polling thread alone.
  class Count {
   public:
    void add(std::uint64_t more) noexcept {
      value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

   private:
    std::atomic<std::uint64_t> value_{0};
  };

  const TapSettings& settings_;
  FrameRing ring_;
  std::vector<std::uint8_t> scratch_;  // a frame of several segments, or with a tag
  // The lost frames of this burst, by index, and how many of them staged records report. A record that is not published
  // has reported nothing.
  std::vector<std::uint32_t> lost_;
  std::size_t reported_ = 0;
  bool has_staged_ = false;       // in this burst
  std::uint32_t unreported_ = 0;  // lost frames of earlier bursts that no published record reports
  Count seen_;
  Count captured_;
  Count lost_count_;
};

}  // namespace pollux::observe
