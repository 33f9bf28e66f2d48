// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <utility>

#include "observe/capture/frame_filter.hpp"
#include "pollux/observe/capture.hpp"

namespace pollux::observe {

/// Starts captures whose filter was compiled before, as on another thread.
struct CaptureAccess {
  /// `options.filter` is not used. Errors: those of Capture::start but for the filter's.
  [[nodiscard]] static Result<std::unique_ptr<Capture>> start(Port& port, const CaptureOptions& options,
                                                              FrameFilter filter) {
    return Capture::start(port, options, std::move(filter));
  }
};

}  // namespace pollux::observe
