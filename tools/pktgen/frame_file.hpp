// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/link.hpp"

namespace pollux::tools {

/// A frame of a capture file.
struct RecordedFrame {
  std::vector<std::uint8_t> bytes;  ///< without FCS
  Duration at{0};                   ///< from the first frame of the file; not less than that of the frame before
};

/// The frames of a file, which all queues share.
using Recording = std::shared_ptr<const std::vector<RecordedFrame>>;

/// The most memory that the frames of a file may take: 1 GiB.
inline constexpr std::uint64_t kMostFrameMemory = std::uint64_t{1} << 30U;

/// Reads all frames of a pcap or pcapng file into memory, in the order of their times. Errors, which name the frame:
/// those of CaptureFileReader; invalid_argument if it has no frame, or has one that was cut when it was captured, that
/// is shorter than 17 bytes or longer than frame::kMaxLength, that was captured more than kLongestRecording from the
/// first, or if the frames take more memory than `most`.
[[nodiscard]] Result<std::vector<RecordedFrame>> read_frames(const std::string& path,
                                                             std::uint64_t most = kMostFrameMemory);

/// Replaces an address in all frames.
void set_destination(std::vector<RecordedFrame>& frames, const MacAddress& destination);
void set_source(std::vector<RecordedFrame>& frames, const MacAddress& source);

}  // namespace pollux::tools
