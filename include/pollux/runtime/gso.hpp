// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "pollux/base/api.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/offload_limits.hpp"
#include "pollux/net/tx_queue.hpp"

namespace pollux {

/// Whether a port with these limits can take `frame` with its segmentation request. True for a frame without one. A
/// port gets only what it segments as software would. So this is false for headers that not every card reads alike
/// (`request_checksums`), for a request for a stamp, for a frame whose first mbuf others share, and for a tag to insert
/// where there is one; in tunnels also for segments that differ (OffloadLimits::segments_tunnels).
[[nodiscard]] POLLUX_API bool port_segments(const OffloadLimits& limits, const Mbuf& frame) noexcept;

/// Generic segmentation offload: divides a frame that requests segmentation into the frames that go on the wire, as a
/// card with that offload would. TCP and UDP over IPv4 and IPv6, with any VLAN tags, and TCP in tunnels over UDP
/// (VXLAN, Geneve), whose outer IP and UDP headers are updated, too: lengths, IPv4 identification and checksums; a UDP
/// checksum of 0 stays, and means none (RFC 768, RFC 6935). Each segment has
/// `TxOffload::segment_size` bytes of payload (the last may have fewer) and the headers of the frame; in each are right
/// lengths, checksums, and the next IPv4 identification. TCP: FIN and PSH are set in the last segment only, and CWR in
/// the first only, if the frame has them. UDP: each segment is a datagram of its own. A requested stamp is that of the
/// last segment, as for TCP in Linux. Segments are copies.
/// Thread rule: one thread.
class POLLUX_API Segmenter {
 public:
  /// What `next` has done.
  enum class Outcome : std::uint8_t {
    complete,     ///< all segments are made
    more,         ///< the burst is full; `next` makes the next ones
    bad_request,  ///< the request does not fit the frame, which is unchanged
    no_memory,    ///< the pool is exhausted, or its mbufs are too small for the headers; `next` tries again
  };

  /// Takes `frame` to segment it. `limits` of the port that sends the segments: if it computes TCP or UDP checksums in
  /// hardware, they stay partial, except in tunnels and behind headers that not every card reads alike; VLAN tags of
  /// the request that it does not insert are inserted here. False, with nothing changed, if the request does not fit
  /// the frame or asks for what neither the port nor this can do, the last frame is not complete, or `frame` is empty.
  [[nodiscard]] bool start(MbufPtr& frame, const OffloadLimits& limits) noexcept;
  /// Appends segments to `out`, which it allocates from `cache`. After `complete` the frame is freed.
  template <std::uint32_t Capacity>
  Outcome next(MempoolCache& cache, Burst<Capacity>& out) noexcept {
    while (frame_ != nullptr) {
      if (out.full()) return Outcome::more;
      MbufPtr segment = make_segment(cache);
      if (segment == nullptr) return Outcome::no_memory;
      static_cast<void>(out.push(segment));  // there is room
    }
    return Outcome::complete;
  }
  /// Whether there is no frame to segment: none was started, or all segments are made.
  [[nodiscard]] bool is_complete() const noexcept { return frame_ == nullptr; }
  /// Gives the frame up, which may be partly segmented.
  [[nodiscard]] MbufPtr abandon() noexcept { return std::move(frame_); }

 private:
  [[nodiscard]] MbufPtr make_segment(MempoolCache& cache) noexcept;
  [[nodiscard]] MbufPtr copy_segment(MempoolCache& cache, std::uint32_t payload) noexcept;
  void write_headers(Mbuf& segment, std::uint32_t payload) const noexcept;

  MbufPtr frame_;
  TxOffload request_;          // its request, but for the tags that its segments have
  std::uint32_t headers_ = 0;  // bytes, without those tags
  std::uint32_t offset_ = 0;   // bytes of payload that are segmented
  std::uint32_t length_ = 0;   // bytes of payload
  std::uint16_t index_ = 0;    // of the next segment
  bool partial_ = false;       // checksums stay partial
};

/// Sends frames on a transmit queue and segments in software those that request a segmentation which the port cannot
/// do:
///
///     SegmentingTx tx(port.tx(0), port.offloads(), cache);
///     gro.merge(burst);
///     tx.send(burst);          // takes what fits; the rest stays in the burst
///
/// Thread rule: the queue's sending thread.
class POLLUX_API SegmentingTx {
 public:
  /// The most frames of one burst.
  static constexpr std::uint32_t kMaxBurst = 64;

  /// `limits` are those of the port. A card's ring takes frames of as many mbufs as it has slots, less two: with a ring
  /// of less than 64, lower OffloadLimits::max_segments. `cache` provides the segments' mbufs, and outlives this
  /// object.
  SegmentingTx(TxQueue& queue, const OffloadLimits& limits, MempoolCache& cache);
  SegmentingTx(const SegmentingTx&) = delete;
  SegmentingTx& operator=(const SegmentingTx&) = delete;
  /// What waits is an unnamed drop of its pool.
  ~SegmentingTx();

  /// Takes frames from the front of `burst`, in order, until the queue is full; the rest stays in the burst. Returns
  /// the number taken. Some segments of the last one may wait here for the next call, which may have an empty burst. A
  /// frame whose request does not fit it is dropped (`gso_bad_request`), and so is one for whose segments there are no
  /// mbufs (`gso_no_memory`, with the segments that were not sent).
  template <std::uint32_t Capacity>
  std::uint32_t send(Burst<Capacity>& burst) noexcept {
    static_assert(Capacity <= kMaxBurst, "a burst has at most 64 frames");
    std::uint32_t count = 0;
    burst.take_each([&](MbufPtr frame) { frames_[count++] = std::move(frame); });
    const std::uint32_t taken = send_frames(count);
    for (std::uint32_t i = taken; i < count; ++i) static_cast<void>(burst.push(frames_[i]));
    return taken;
  }
  /// Whether segments wait for room in the queue.
  [[nodiscard]] bool waiting() const noexcept { return !segmenter_.is_complete() || !ready_.empty(); }
  /// Frames with a segmentation request that were dropped.
  [[nodiscard]] const DropCounter& bad_requests() const noexcept { return bad_request_; }
  /// Frames that were dropped because a segment could not be allocated.
  [[nodiscard]] const DropCounter& no_memory() const noexcept { return no_memory_; }

 private:
  [[nodiscard]] std::uint32_t send_frames(std::uint32_t count) noexcept;
  void take(MbufPtr& frame) noexcept;
  [[nodiscard]] bool send_ready() noexcept;
  void drop(MbufPtr frame, DropCounter& reason) noexcept;

  TxQueue& queue_;
  OffloadLimits limits_;
  MempoolCache& cache_;
  Segmenter segmenter_;
  Burst<kMaxBurst> ready_;  // frames and segments for the queue
  std::array<MbufPtr, kMaxBurst> frames_;
  DropCounter bad_request_{"gso_bad_request"};
  DropCounter no_memory_{"gso_no_memory"};
};

}  // namespace pollux
