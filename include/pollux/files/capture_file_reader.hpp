// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// A frame of a capture file.
struct CapturedFrame {
  /// What was captured of it, without FCS. Valid until the reader's next call.
  std::span<const std::uint8_t> bytes;
  /// Its bytes on the wire, without FCS; at least bytes.size().
  std::uint32_t length = 0;
  /// When it was captured, from the first frame of the file on. A frame of a record without a time (a simple packet
  /// block of pcapng) has that of the frame before it. nullopt: more than kLongestRecording before or after.
  std::optional<Duration> at;
  /// The interface that captured it, of all interfaces in the file.
  std::uint32_t interface = 0;

  /// False if it was cut when it was captured.
  [[nodiscard]] bool is_whole() const noexcept { return bytes.size() == length; }
};

/// The longest time from the first frame of a capture file to another: 31 years.
inline constexpr Duration kLongestRecording = std::chrono::seconds(1'000'000'000);

/// Reads the frames of a capture file one by one: pcap with micro- or nanoseconds, or pcapng, of Ethernet. libpcap does
/// the work, and checks the lengths of records.
///
/// Length: a check sequence that the file says to have (the f bit of pcap, if_fcslen and epb_flags of pcapng) is not
/// part of a frame. Bytes that a record has beyond the frame's length on the wire are not part of it, either.
///
/// Time: an interface's time never goes back. Its frames that are late by up to a second have the time of the one
/// before. After a clock was set back by more, the gaps between frames go on as they were captured. The interfaces of a
/// pcapng file have the same clock, but each writes its frames in blocks; so the time of a frame may be before that of
/// the frame before, of another interface.
/// Thread rule: one thread at a time.
class POLLUX_API CaptureFileReader {
 public:
  /// What `next` has found.
  enum class Outcome : std::uint8_t {
    frame,       ///< it is in `frame`
    end,         ///< of the file
    unreadable,  ///< the rest cannot be read: see `error`
  };

  /// `name` is for messages. Errors: not_found, permission_denied, invalid_argument (not a regular file, not a capture
  /// file that libpcap can read, or not Ethernet), io_error.
  [[nodiscard]] static Result<CaptureFileReader> open(const std::string& path, std::string_view name);
  /// The other reader is then without a file: it may only be destroyed or assigned to.
  ///@{
  CaptureFileReader(CaptureFileReader&& other) noexcept;
  CaptureFileReader& operator=(CaptureFileReader&& other) noexcept;
  ///@}
  ~CaptureFileReader();

  /// Reads the next frame into `frame`, which is unchanged unless the outcome is Outcome::frame.
  [[nodiscard]] Outcome next(CapturedFrame& frame) noexcept;
  /// Restarts at the first frame. Its time is that of the last frame, and the mean gap of the file later. False if the
  /// file cannot be read again.
  [[nodiscard]] bool rewind() noexcept;
  /// Frames read since the beginning of the file.
  [[nodiscard]] std::uint64_t frames() const noexcept;
  /// Why the record after `frames` could not be read.
  [[nodiscard]] Error error() const;

 private:
  class Impl;
  explicit CaptureFileReader(std::unique_ptr<Impl> impl) noexcept;

  std::unique_ptr<Impl> impl_;
};

/// The time from the last frame of a round of a file to the first one of the next: the mean of those between its
/// frames, of which the last one is `last` after the first.
[[nodiscard]] constexpr Duration gap_between_rounds(Duration last, std::uint64_t frames) noexcept {
  return frames < 2 ? Duration(0) : last / static_cast<Duration::rep>(frames - 1);
}

}  // namespace pollux
