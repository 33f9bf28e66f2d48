// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/observe/capture.hpp"

namespace pollux {

/// Writes a capture to a file, pipe or socket, on a thread of its own that takes no signals. If the reader is too slow,
/// the capture's rings fill up, and what they cannot take is lost and counted; the program's threads never wait.
/// Ends when the other end of a socket or pipe is closed or shut down for writing, when writing fails, when the port
/// was closed, or when it is destroyed. It then writes what was captured, and the statistics, and closes the
/// descriptor. Thread rule: any thread.
class POLLUX_API CaptureThread {
 public:
  /// How long a slow reader may take for each mebibyte of the end of the file.
  static constexpr Duration kFinishLimit = std::chrono::seconds(1);

  /// Takes ownership of `descriptor`, also on failure. `first` is written before the capture. Error io_error: the
  /// thread cannot be started.
  [[nodiscard]] static Result<std::unique_ptr<CaptureThread>> start(std::unique_ptr<Capture> capture, int descriptor,
                                                                    const std::string& first = {});
  CaptureThread(const CaptureThread&) = delete;
  CaptureThread& operator=(const CaptureThread&) = delete;
  /// Ends the capture, and waits for that: at most about kFinishLimit for each mebibyte that its rings hold.
  ~CaptureThread();

  /// Asks the capture to end, and does not wait for that.
  void end() noexcept;
  [[nodiscard]] bool is_running() const noexcept;
  /// Why it has ended: no error if the reader did, or the port. Errors: io_error (such as a full disk), timeout (the
  /// reader did not take the end of the file). While it runs there is no error.
  [[nodiscard]] Result<void> result() const;

 private:
  class Core;
  explicit CaptureThread(std::unique_ptr<Core> core) noexcept;

  std::unique_ptr<Core> core_;
};

}  // namespace pollux
