// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "drivers/intel/queue/tx_contexts.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/net/drops.hpp"

namespace pollux::drivers::intel {

/// The offload requests that a queue of any card fulfils. Software always inserts outer VLAN tags.
inline constexpr std::uint32_t kTxSoftwareOffloads = TxOffload::insert_outer_vlan;
inline constexpr std::uint32_t kTxUsualOffloads = TxOffload::kChecksums | TxOffload::tcp_segmentation |
                                                  TxOffload::udp_segmentation | TxOffload::without_fcs |
                                                  TxOffload::insert_vlan | kTxSoftwareOffloads;

/// Bytes of the shortest frame that brings its own frame check sequence. [I-NOFCS]
inline constexpr std::uint32_t kMinWithFcs = 64;

/// The limits of a request for segmentation: bytes of the frame, and its mbufs. QEMU's card refuses an IP packet of
/// more than 65,535 bytes, and one in more than 64 buffers (hw/net/net_tx_pkt.c). [I-TSOMAX]
inline constexpr std::uint32_t kMaxTso = 65'535;
inline constexpr std::uint32_t kMaxTsoSegments = 40;
/// The slots of such a frame: two of its buffers may need a second one.
inline constexpr std::uint32_t kMaxTsoSlots = kMaxTsoSegments + 2;

/// Whether the frame requests segmentation.
[[nodiscard]] inline bool is_segmented(const TxOffload& request) noexcept {
  return (request.flags & (TxOffload::tcp_segmentation | TxOffload::udp_segmentation)) != 0;
}

/// Bytes of a packet that requests segmentation, up to its payload.
[[nodiscard]] inline std::uint32_t headers_of(const TxOffload& request) noexcept {
  return request.l4_offset() + request.l4;
}
/// Offsets of the fields that are cleared in the IP header of such a packet, 2 bytes each: the length, and for IPv4 the
/// checksum. In IPv6 both are the same. [I-TSOLENGTH] [I-TXSUM]
[[nodiscard]] std::array<std::uint32_t, 2> cleared_for_segments(const Mbuf& frame, const TxOffload& request) noexcept;

/// A part of a frame's request as one word, by which requests are compared: `Word` number `index`.
template <class Word>
[[nodiscard]] inline Word request_word(Mbuf& frame, std::size_t index) noexcept {
  static_assert(offsetof(TxOffload, l2) == sizeof(std::uint64_t) &&
                offsetof(TxOffload, l4) == 2 * sizeof(std::uint64_t) &&
                offsetof(TxOffload, segment_size) == offsetof(TxOffload, l4) + sizeof(std::uint16_t));
  Word word;
  std::memcpy(&word, reinterpret_cast<const std::byte*>(&MbufAccess::tx_offload(frame)) + index * sizeof word,
              sizeof word);
  return word;
}

/// What a queue's card can do for a request.
struct TxAbilities {
  std::uint32_t max_frame = 0;    ///< bytes of the longest frame that the card may send
  bool inserts_tags = false;      ///< it inserts VLAN tags
  bool segments_tunnels = false;  ///< OffloadLimits::segments_tunnels
};

/// Prepares a frame whose mbufs are valid, and that requests nothing but OffloadLimits::tx_flags: decides what the card
/// does for its offload request, and does the rest in software. Returns nullptr, or the drop counter of a frame that
/// cannot be sent.
[[nodiscard]] std::uint64_t* prepare_request(TxDrops& drops, Mbuf& frame, const TxAbilities& card,
                                             TxCommand& command) noexcept;

}  // namespace pollux::drivers::intel
