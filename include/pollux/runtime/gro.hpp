// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "pollux/base/api.hpp"
#include "pollux/mem/burst.hpp"

namespace pollux {

class GroTable;

struct GroStats {
  std::uint64_t received = 0;   ///< frames that came in
  std::uint64_t merged = 0;     ///< of those, frames that were appended to an earlier one
  std::uint64_t delivered = 0;  ///< frames that went out; received = merged + delivered + those in the Gro
};

/// Generic receive offload: merges consecutive TCP segments of a flow into one frame, so that what follows works once
/// per frame and not once per segment. A merged frame is a chain of mbufs without a copy: the first has the headers,
/// the others payload only.
///
///     Gro gro;
///     poller.add(port.rx(0), [&](Burst<64>& burst) {
///       gro.merge(burst);        // fewer and longer frames
///       handle(burst);
///     });
///
/// The rules are those of Linux (6.18), so that a merged frame can be segmented again without a loss: TCP over IPv4
/// without IP options, and over IPv6 with any hop-by-hop, routing and destination options, with up to two VLAN tags in
/// the frame and one in the metadata. Segments of one flow are merged if they are consecutive and have the same length
/// (the last may be shorter) and the same headers, except for sequence number, checksums, FIN, PSH and the IPv4
/// identification, which must count up, or stay the same. Neither is merged
/// what is without payload or has SYN, RST, URG or CWR, nor padded frames, fragments, clones, external memory and
/// frames with an offload request beyond checksums. A merged frame has at most 65,535 bytes after its Ethernet header,
/// and 255 mbufs. A wrong checksum is never merged: the metadata of the frame says whether it is right, or software
/// computes it (RxMetadata; `partial` counts as right). Other frames pass unchanged.
///
/// Frames of one flow keep their order, except that a frame with a wrong checksum may pass earlier ones. Frames of
/// different flows may change places, since a frame that may grow is held until the flow ends it, the batch ends, or
/// too many flows are held: eight of each remainder of the RSS hash divided by eight.
///
/// A merged frame has right IP lengths, a right IPv4 header checksum, and the offload request for segmentation
/// (TxOffload::tcp_segmentation), so a port that segments can send it as it is, and `segment_or_pass` any other. Its
/// TCP checksum is partial, and its metadata is RxFormat::software with the hash and VLAN tag of the first segment.
///
/// Ownership: owns the mbufs that it holds; those left at destruction count as unnamed drops of their pools.
/// Thread rule: one thread.
class POLLUX_API Gro {
 public:
  /// The most frames of one burst.
  static constexpr std::uint32_t kMaxBatch = 64;

  Gro();
  Gro(Gro&& other) noexcept;
  Gro& operator=(Gro&& other) noexcept;
  ~Gro();

  /// Merges the frames of one batch, as Linux does with one NAPI poll. Nothing is held afterwards, unless `receive`
  /// held it before and the burst is full.
  template <std::uint32_t Capacity>
  void merge(Burst<Capacity>& burst) noexcept {
    take(burst);
    end_batch();
    deliver(burst);
  }

  /// Takes the frames of the burst and puts into it the frames that cannot grow any more. The others wait for the next
  /// call, for the price of latency; `flush` ends that (as napi_defer_hard_irqs and gro_flush_timeout in Linux).
  template <std::uint32_t Capacity>
  void receive(Burst<Capacity>& burst) noexcept {
    take(burst);
    deliver(burst);
  }
  /// Adds the held frames to the burst, the oldest first. Call it again if the burst had no room for all: `held` says.
  template <std::uint32_t Capacity>
  void flush(Burst<Capacity>& burst) noexcept {
    end_batch();
    deliver(burst);
  }
  /// Frames that `receive` has left here; at most 64.
  [[nodiscard]] std::uint32_t held() const noexcept;
  [[nodiscard]] GroStats stats() const noexcept;

 private:
  template <std::uint32_t Capacity>
  void take(Burst<Capacity>& burst) noexcept {
    static_assert(Capacity <= kMaxBatch, "a batch has at most 64 frames");
    std::array<Mbuf*, Capacity> frames;
    const std::uint32_t count = burst.size();
    for (std::uint32_t i = count; i-- > 0;) frames[i] = burst.pop().release();
    receive_batch({frames.data(), count});
  }
  template <std::uint32_t Capacity>
  void deliver(Burst<Capacity>& burst) noexcept {
    const std::span<Mbuf* const> frames = take_finished(Capacity - burst.size());
    for (Mbuf* const frame : frames) {
      MbufPtr owner(frame);
      static_cast<void>(burst.push(owner));  // there is room
    }
  }
  void receive_batch(std::span<Mbuf* const> frames) noexcept;
  void end_batch() noexcept;
  /// The next finished frames, at most `limit`, which the caller owns.
  [[nodiscard]] std::span<Mbuf* const> take_finished(std::uint32_t limit) noexcept;

  std::unique_ptr<GroTable> table_;
};

}  // namespace pollux
