// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/error.hpp"

namespace pollux::tools {

/// The sizes of frames sent in turn, in bytes with the frame check sequence; repeats from the start.
struct FrameSizes {
  std::string text = "64";                     ///< as the user wrote it
  std::vector<std::uint32_t> sequence = {64};  ///< not empty

  [[nodiscard]] std::uint32_t largest() const noexcept;
};

/// The longest sequence.
inline constexpr std::size_t kMaxSizes = 1000;

/// One of
/// - a size: "64"
/// - sizes with their shares, which are mixed evenly: "64:7,594:4,1518:1"
/// - "imix": the mix just named, called simple IMIX by many testers
/// - an IMIX genome (RFC 6985, 4): "imix-aaaafg", the frames in this order; a 64, b 128, c 256, d 512, e 1024, f 1280,
///   g 1518, h 2112 bytes, i 9000.
/// Errors: invalid_argument for anything else, for a size outside that of pktgen's frames, and above kMaxSizes.
[[nodiscard]] Result<FrameSizes> parse_frame_sizes(std::string_view text);

}  // namespace pollux::tools
