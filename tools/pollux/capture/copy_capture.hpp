// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "capture/captured_port.hpp"
#include "capture/pcapng_counts.hpp"

namespace pollux::tool {

struct CopyLimits {
  std::optional<std::uint64_t> frames = {};
  std::optional<std::chrono::nanoseconds> time = {};
  std::function<bool()> stop = {};  ///< asked several times a second; also after a signal
};

/// Copies a capture to `out` until a limit is reached or the program ends it. The capture is then told to end, and what
/// it still has is copied, too, but for frames beyond the limit. Errors: io_error (such as a full disk, or a program
/// that ended in the middle), timeout.
[[nodiscard]] Result<PcapngCounts> copy_capture(RunningCapture capture, int out, const CopyLimits& limits);

}  // namespace pollux::tool
