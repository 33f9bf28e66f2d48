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

/// What a Gro has done, in frames.
struct GroStats {
  std::uint64_t received = 0;   ///< frames that came in
  std::uint64_t merged = 0;     ///< of those, frames that were appended to an earlier one
  std::uint64_t delivered = 0;  ///< frames that went out; received = merged + delivered + those in the Gro
};

/// What a Gro merges besides TCP.
struct GroOptions {
  /// Merges UDP datagrams. Off by default, as in Linux, where a socket (UDP_GRO) or an interface
  /// (rx-udp-gro-forwarding) asks for it: a receiver that does not expect a merged frame would take it for one
  /// datagram.
  bool udp = false;
  /// The UDP destination port of VXLAN tunnels, in which TCP is merged: usually `kVxlanPort`. 0, the default: none.
  std::uint16_t vxlan_port = 0;

  static constexpr std::uint16_t kVxlanPort = 4789;  ///< RFC 7348, 5
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
/// The rules are those of Linux (6.18), so that a merged frame can be segmented again without a loss, but for one
/// thing: segmentation counts up the IPv4 identification of its first frame, so one that stayed the same comes out
/// counted. Receivers use it for fragments only (RFC 6864, 4.1), which a merged frame does not have. TCP is merged over
/// IPv4 without IP options, and over IPv6 with hop-by-hop, routing and destination options but no segments left and no
/// home address, with up to two VLAN tags in the frame and one in the metadata. Segments of one flow are merged if they
/// are consecutive and have the same length (the last may be shorter) and the same headers, except for sequence number,
/// checksums, FIN, PSH and the IPv4 identification, which must count up, or stay the same. Not merged are segments
/// without payload or with SYN, RST, URG or CWR, padded frames, fragments, clones, external memory, and frames
/// with an offload request beyond checksums. A merged frame has at most 65,535 bytes after its Ethernet header,
/// and 255 mbufs. A wrong checksum is never merged: the metadata of the frame says whether it is right, or software
/// computes it (RxMetadata; `partial` counts as right). Other frames pass unchanged.
///
/// If GroOptions say so, UDP datagrams of one flow are merged that have the same length (the last may be shorter) and
/// the same headers but for checksum and IPv4 identification; at most 64, none without a checksum, without payload or
/// with padding. And TCP in VXLAN tunnels, over IPv4 and IPv6, if the headers of the tunnel are the same, too, except
/// for lengths, checksums, and the IPv4 identification, for which the same holds. Metadata describes the tunnel's
/// headers, so software checks the checksums in the tunnel. What has tags or offload requests in a tunnel is not
/// merged.
///
/// Frames of one flow keep their order, except that one which is never merged may pass earlier ones that are held:
/// with a wrong checksum, a fragment, with IP options, a UDP datagram without a checksum or payload, or one whose
/// length is not that of the rest of the frame: with padding, or bytes behind it (RFC 9868). The same holds for a
/// padded frame in a tunnel that has a checksum. Linux does the same. Frames of different flows may change places,
/// since a frame that may grow is held until the flow ends it, the batch ends, or too many flows are held: 64, in 8
/// buckets of 8 by the RSS hash modulo 8.
///
/// A merged frame has right lengths, right IPv4 header checksums, and the offload request for segmentation
/// (TxOffload::tcp_segmentation or udp_segmentation), so a port that segments can send it as it is, and SegmentingTx
/// over any other. Its TCP or UDP checksum is partial; so is that of a tunnel, if the tunnel has one. Its metadata is
/// RxFormat::software with the hash and VLAN tag of the first segment.
///
/// Ownership: owns the mbufs that it holds; those left at destruction count as unnamed drops of their pools.
/// Thread rule: one thread.
class POLLUX_API Gro {
 public:
  /// The most frames of one burst.
  static constexpr std::uint32_t kMaxBatch = 64;

  /// Allocates all memory that it needs.
  explicit Gro(const GroOptions& options = {});
  /// The other one may then only be destroyed or assigned to. What this one held is dropped without a name.
  ///@{
  Gro(Gro&& other) noexcept;
  Gro& operator=(Gro&& other) noexcept;
  ///@}
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
  /// Adds the held frames to the burst, bucket by bucket, the oldest of each first. Call it again if the burst had no
  /// room for all: `held` says.
  template <std::uint32_t Capacity>
  void flush(Burst<Capacity>& burst) noexcept {
    end_batch();
    deliver(burst);
  }
  /// Frames that `receive` has left here; at most 64.
  [[nodiscard]] std::uint32_t held() const noexcept;
  /// Counts since the constructor.
  [[nodiscard]] GroStats stats() const noexcept;

 private:
  template <std::uint32_t Capacity>
  void take(Burst<Capacity>& burst) noexcept {
    static_assert(Capacity <= kMaxBatch, "a batch has at most 64 frames");
    std::array<Mbuf*, Capacity> frames;
    std::uint32_t count = 0;
    burst.take_each([&](MbufPtr frame) { frames[count++] = frame.release(); });
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
