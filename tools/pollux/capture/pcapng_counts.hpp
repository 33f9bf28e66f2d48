// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace pollux::tool {

/// Counts the frames of a pcapng stream in the machine's byte order while it passes.
class PcapngCounts {
 public:
  /// The next bytes of the stream. Returns how many of them belong to the first `limit` frames and what lies between
  /// them: all, unless there are more frames.
  std::size_t add(std::span<const std::byte> bytes, std::uint64_t limit);

  [[nodiscard]] std::uint64_t frames() const noexcept { return frames_; }
  /// Frames that the tap had no room for, as the statistics at the end say.
  [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }
  /// Whether the stream ended with its statistics.
  [[nodiscard]] bool is_complete() const noexcept { return has_statistics_ && block_.empty(); }
  /// Whether this is no pcapng stream.
  [[nodiscard]] bool is_broken() const noexcept { return broken_; }

 private:
  void finish_block();

  std::string block_;  // the one that has begun
  std::uint64_t frames_ = 0;
  std::uint64_t lost_ = 0;
  bool has_statistics_ = false;
  bool broken_ = false;
};

}  // namespace pollux::tool
