// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/observe/capture.hpp"

namespace pollux::observe {

/// Writes a capture to a descriptor. At most about kBuffer bytes wait for a slow reader.
/// Thread rule: one thread at a time.
class CaptureStream {
 public:
  static constexpr std::size_t kBuffer = std::size_t{1} << 20;

  enum class State {
    idle,     ///< nothing is left to write
    more,     ///< a buffer is written, and there is more
    blocked,  ///< the descriptor takes no more bytes now
    closed,   ///< the other end was closed
  };

  enum class Target { socket, file, other };

  /// `first` is written before the capture.
  CaptureStream(std::unique_ptr<Capture> capture, FileDescriptor descriptor, const std::string& first = {});
  CaptureStream(CaptureStream&&) = default;
  CaptureStream& operator=(CaptureStream&&) = delete;
  ~CaptureStream();

  /// Writes what was captured and what the descriptor takes, at most about two buffers, so that it returns although
  /// frames arrive faster than they are written. Never waits for a socket or a pipe. Error io_error: writing failed.
  [[nodiscard]] Result<State> run();
  /// Ends the capture: detaches it, writes what is left, and the statistics. Error timeout: the reader did not take a
  /// buffer of it within `limit` of real time, which another thread may shorten.
  [[nodiscard]] Result<void> finish(const std::atomic<Duration>& limit);

  [[nodiscard]] const Capture& capture() const noexcept { return *capture_; }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }
  /// What the reader has taken of the buffers.
  [[nodiscard]] std::uint64_t bytes_taken() const noexcept { return bytes_taken_; }

 private:
  [[nodiscard]] Result<State> flush();

  std::unique_ptr<Capture> capture_;
  FileDescriptor descriptor_;
  Target target_;
  std::vector<std::byte> buffer_;
  std::size_t written_ = 0;          // of buffer_
  std::uint64_t buffers_taken_ = 0;  // by the reader, whole
  std::uint64_t bytes_taken_ = 0;
};

}  // namespace pollux::observe
