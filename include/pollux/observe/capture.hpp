// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/net/port.hpp"

namespace pollux {

namespace observe {
class FrameFilter;
struct CaptureAccess;
}  // namespace observe

/// What is captured, and how much of it.
struct CaptureOptions {
  std::optional<std::uint16_t> queue = {};  ///< the receive and transmit queue with that index; empty: all queues
  bool receive = true;                      ///< capture received frames
  bool transmit = true;                     ///< capture frames that transmit queues take
  /// libpcap's expression (pcap-filter(7)), at most 4,096 bytes, 300 words and 4,096 instructions; empty: all frames.
  /// It names no hosts or networks.
  std::string filter = {};
  std::uint32_t snaplen = 262144;  ///< bytes to copy of each frame, 1 to 262,144
  /// Bytes of the ring of each queue, rounded up to a power of two: 4 KiB to 256 MiB, and at least twice as many as a
  /// record of `snaplen` bytes needs. A frame takes its own length, and 48 to 63 bytes more.
  std::size_t ring_bytes = std::size_t{4} << 20;
  /// Counters of the program whose dropped frames are captured, too: those that this port has received. They may be
  /// destroyed before the Capture.
  std::vector<const DropCounter*> drops = {};
  std::string name = {};         ///< of the port in the file; empty: its URI
  std::string application = {};  ///< the program's name in the file
  /// The time of day when the Context's clock is 0, since 1970. Empty: by the machine's clock at the start.
  std::optional<Duration> epoch = {};
};

/// The frames of a capture: each that was `seen` was `captured`, `lost`, or did not match the filter.
struct CaptureCounts {
  std::uint64_t seen = 0;      ///< frames of the captured queues
  std::uint64_t captured = 0;  ///< frames that matched and were copied
  std::uint64_t lost = 0;      ///< frames that matched and found no room in the ring of their queue
};

/// Copies the frames of a running port, as pcapng. The thread that polls a queue filters and copies its frames into a
/// ring, and never waits; what finds no room there is counted, in the file, too. Another thread reads the rings:
/// `drain`. While no capture is attached, it costs nothing.
///
///     auto capture = pollux::Capture::start(port, {.filter = "icmp"});
///     std::vector<std::byte> out;
///     while (running) {
///       (*capture)->drain(out, 1 << 20);
///       file.write(out); out.clear();
///     }
///     auto stopped = (*capture)->stop();
///     (*capture)->drain(out, SIZE_MAX);
///     (*capture)->finish(out);
///
/// Each direction of a queue is an interface of the file, and the drops of the program are another one. A frame has the
/// time of its burst, to the nanosecond, and its direction; a dropped frame has the name of its DropCounter as comment.
/// A frame with a time stamp of the card (Mbuf::timestamp) has it as comment. VLAN tags that the card has removed or
/// will insert are in their places; of two tags, the outer one that is to be inserted is left out. Checksums that the
/// card will compute are not computed. `finish` writes what each interface has seen, captured and lost, and what the
/// port has dropped meanwhile.
///
/// The port may be closed and destroyed meanwhile; then the capture has no more frames.
/// Thread rule: one thread at a time calls `drain`, `stop` and `finish`, and destroys it; any thread calls the others.
class POLLUX_API Capture {
 public:
  /// Attaches to the queues. Their bursts go on; for some microseconds other observers do not see them.
  /// Errors: invalid_argument (a filter that libpcap rejects, no such queue, a limit that is exceeded), bad_state (the
  /// port has no queues), busy (a forward path moves the frames of a queue; a queue without one can be captured by its
  /// number), not_supported (the driver's queues cannot be observed), timeout (a thread does not leave its burst).
  /// Nothing is attached then.
  [[nodiscard]] static Result<std::unique_ptr<Capture>> start(Port& port, const CaptureOptions& options = {});
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  /// Detaches from the queues.
  ~Capture();

  /// Appends the captured frames to `out`, in the order of their times, as blocks of pcapng; the first call begins with
  /// the file's header. Ends when the rings are empty, or when `out` has `limit` bytes or more. Returns whether frames
  /// are left.
  bool drain(std::vector<std::byte>& out, std::size_t limit);
  /// Detaches from the queues. Frames that are in the rings can still be read. Error timeout: a thread does not leave
  /// its burst; call it again.
  [[nodiscard]] Result<void> stop();
  /// Appends the statistics, the file's last blocks.
  void finish(std::vector<std::byte>& out);

  /// The sum of all queues; without the program's drops.
  [[nodiscard]] CaptureCounts counts() const;
  /// False once the port is closed or destroyed: no more frames will come.
  [[nodiscard]] bool is_port_open() const;

 private:
  class Core;
  friend struct observe::CaptureAccess;
  explicit Capture(std::shared_ptr<Core> core) noexcept;
  [[nodiscard]] static Result<std::unique_ptr<Capture>> start(Port& port, const CaptureOptions& options,
                                                              observe::FrameFilter filter);

  std::shared_ptr<Core> core_;
};

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

  /// Asks the capture to end, and does not wait for that. `limit`: how long its reader may take for each mebibyte of
  /// the end of the file; 0: no longer. A later call may change it.
  void end(Duration limit = kFinishLimit) noexcept;
  /// How long the reader has taken nothing of what waits for it; 0 while nothing does.
  [[nodiscard]] Duration blocked_for() const noexcept;
  /// Whether frames are still captured.
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
