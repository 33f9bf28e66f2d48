// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "common/frame.hpp"
#include "pktgen/frame_file.hpp"
#include "pktgen/frame_source.hpp"
#include "pollux/files/capture_file_reader.hpp"

namespace pollux::tools {

/// Sends the frames of a capture file in their order, some times over, each when it was captured.
class ReplayedFrames final : public FrameSource {
 public:
  /// `frames` is not empty. `times` 0 is without end.
  ReplayedFrames(Recording frames, std::uint64_t times)
      : recording_(std::move(frames)), frames_(*recording_), times_(times) {}

  [[nodiscard]] std::uint32_t next_length() const noexcept override {
    if (times_ != 0 && round_ == times_) return 0;
    return static_cast<std::uint32_t>(frames_[next_].bytes.size());
  }
  [[nodiscard]] std::optional<Duration> next_at() const noexcept override {
    return sum(round_start_, frames_[next_].at);
  }
  [[nodiscard]] bool build(Mbuf& mbuf, MempoolCache& cache) noexcept override {
    if (!append_chained(mbuf, cache, frames_[next_].bytes)) return false;
    if (++next_ < frames_.size()) return true;
    next_ = 0;
    ++round_;
    round_start_ = sum(round_start_, sum(frames_.back().at, gap_between_rounds(frames_.back().at, frames_.size())));
    return true;
  }

 private:
  /// With a rate of the user's, rounds of a long recording may follow each other until their times overflow.
  [[nodiscard]] static Duration sum(Duration one, Duration other) {
    return other > kNever - one ? kNever : one + other;
  }

  Recording recording_;
  const std::vector<RecordedFrame>& frames_;
  std::uint64_t times_;
  std::uint64_t round_ = 0;
  Duration round_start_{0};
  std::size_t next_ = 0;
};

}  // namespace pollux::tools
