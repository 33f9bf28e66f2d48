// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mem/context_state.hpp"
#include "observe/capture/frame_filter.hpp"
#include "observe/capture/frame_tap.hpp"
#include "pollux/net/stats.hpp"
#include "pollux/observe/capture.hpp"

namespace pollux {

/// Writes the pcapng format: draft-ietf-opsawg-pcapng, which Wireshark, tcpdump and libpcap read. libpcap cannot write
/// it. Blocks are in the machine's byte order. Text options of more than 65,535 bytes are cut off.
namespace observe::pcapng {

/// A Section Header Block, the first block of a file.
struct Section {
  std::string hardware = {};  ///< what the section was captured on
  std::string os = {};
  std::string application = {};  ///< that wrote the section
  std::string comment = {};
};

/// An Interface Description Block, for Ethernet. The first one is interface 0 of its section.
struct Interface {
  std::string name = {};
  std::string description = {};
  std::uint32_t snaplen = 0;  ///< bytes; 0: no limit
  std::optional<std::array<std::uint8_t, 6>> mac = {};
  std::uint64_t speed = 0;                     ///< bits a second; 0: unknown
  std::string filter = {};                     ///< libpcap's expression; empty: none
  std::optional<std::uint8_t> fcs_bytes = {};  ///< of the frame check sequence in captured frames
  std::string hardware = {};
};

enum class Direction : std::uint8_t { unknown = 0, inbound = 1, outbound = 2 };

/// An Enhanced Packet Block.
struct Packet {
  std::uint32_t interface = 0;
  std::uint64_t time = 0;    ///< nanoseconds since 1970
  std::uint32_t length = 0;  ///< of the frame, of which fewer bytes may be captured
  Direction direction = Direction::unknown;
  std::uint8_t fcs_bytes = 0;
  std::optional<std::uint32_t> queue = {};
  std::uint64_t lost = 0;  ///< frames between the interface's previous packet and this one
  std::string_view comment = {};
};

/// An Interface Statistics Block.
struct Statistics {
  std::uint32_t interface = 0;
  std::uint64_t time = 0;  ///< nanoseconds since 1970, as the next two
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::uint64_t received = 0;                 ///< frames that passed the interface (isb_ifrecv)
  std::optional<std::uint64_t> dropped = {};  ///< frames that the interface had no room for (isb_ifdrop)
  std::uint64_t accepted = 0;                 ///< by the filter (isb_filteraccept)
  std::uint64_t lost = 0;                     ///< accepted frames that were not captured (isb_osdrop)
  std::uint64_t delivered = 0;                ///< accepted frames that were (isb_usrdeliv)
  std::string comment = {};
};

using Bytes = std::vector<std::byte>;

/// Each appends one block to `out`.
void append(Bytes& out, const Section& section);
void append(Bytes& out, const Interface& interface);
void append(Bytes& out, const Packet& packet, std::span<const std::uint8_t> captured);
void append(Bytes& out, const Statistics& statistics);

}  // namespace observe::pcapng

class PortCore;

/// The taps of a Capture and what the file says about them.
class Capture::Core {
 public:
  /// A direction of a queue, or the program's drops: an interface of the file.
  struct Source {
    enum class Kind : std::uint8_t { receive, transmit, drops };
    Kind kind;
    std::uint16_t queue;  ///< of `receive` and `transmit`
    observe::FrameTap* tap;
  };

  Core(std::shared_ptr<ContextState> context, std::shared_ptr<PortCore> port, const CaptureOptions& options,
       observe::FrameFilter filter);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  ~Core();

  /// As that of ContextState.
  [[nodiscard]] bool is_own() const noexcept { return context_ == nullptr || context_->is_own(); }
  [[nodiscard]] Result<void> attach();
  /// A port that is closed has detached its observers already.
  [[nodiscard]] Result<void> detach();
  [[nodiscard]] bool is_port_open() const;
  [[nodiscard]] CaptureCounts counts() const;

  bool drain(observe::pcapng::Bytes& out, std::size_t limit);
  void finish(observe::pcapng::Bytes& out);

  /// Without it, the Context would own itself where it keeps this: the taps stay usable, and nothing else.
  [[nodiscard]] std::shared_ptr<ContextState> release_context() noexcept {
    port_.reset();
    return std::exchange(context_, nullptr);
  }

 private:
  template <class Tap>
  struct OnQueue {
    OnQueue(const observe::TapSettings& settings, const Clock& clock, std::uint16_t index)
        : tap(settings, clock), queue(index) {}
    Tap tap;
    std::uint16_t queue;
    bool attached = false;
  };
  using Rx = OnQueue<observe::RxTap>;
  using Tx = OnQueue<observe::TxTap>;
  [[nodiscard]] Result<void> make_taps();
  [[nodiscard]] Result<void> attach_taps();
  void note_port();
  void append_header(observe::pcapng::Bytes& out) const;
  void append_frame(observe::pcapng::Bytes& out, std::uint32_t source, const observe::FrameRecord& record);
  /// What the port has dropped since the start, by reason: of one direction.
  [[nodiscard]] std::string port_drops(const Stats& now, std::string_view direction) const;
  [[nodiscard]] std::optional<std::uint64_t> queue_drops(const Stats& now, const Source& source) const;
  [[nodiscard]] std::uint64_t time_of_day(Time time) const noexcept;

  std::shared_ptr<ContextState> context_;
  std::shared_ptr<PortCore> port_;
  const CaptureOptions options_;
  observe::TapSettings settings_;
  std::list<Rx> rx_;
  std::list<Tx> tx_;
  std::optional<observe::DropTap> drops_;
  std::vector<Source> sources_;  // by interface

  // Of the port, at the start.
  std::string name_;
  std::string about_;
  std::array<std::uint8_t, 6> mac_{};
  std::uint64_t speed_ = 0;
  std::uint8_t fcs_bytes_ = 0;
  Stats before_;
  Duration epoch_{0};
  Time started_{0};
  Time last_time_{0};

  bool has_header_ = false;
  std::string comment_;  // kept for its memory
};

}  // namespace pollux

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
