// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hw/intel/descriptors.hpp"
#include "pollux/base/ring_index.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/net/drops.hpp"

namespace pollux {
class ContextState;
}

namespace pollux::drivers::intel {

struct TxRing;

/// The rest of a burst.
using TxBurstLoop = std::uint32_t(TxRing& ring, Mbuf* const* mbufs, std::uint32_t count) noexcept;

/// What the card does with a frame: a context that describes its headers, and command bits of its data descriptors.
struct TxCommand {
  hw::intel::Descriptor context;  ///< without an index; only if `has_context`
  std::uint64_t flags = 0;        ///< for each of the frame's data descriptors
  std::uint64_t inverted = 0;     ///< bits of each of them that differ from those of other frames
  std::uint32_t payload = 0;      ///< bytes: the frame's, or with segmentation those after its headers
  std::uint32_t shortest = 0;     ///< if `repeats`: bytes of the shortest frame that the request may have
  bool has_context = false;
  bool repeats = false;  ///< frames with the same request can be sent without another check, but for their length
};

/// What packets that repeat a request for segmentation have in common, besides what all repeated requests have.
struct TxRepeatedSegments {
  std::uint32_t sizes = 0;  ///< the request's last two members, as one word
  /// Offsets of the fields in the IP header that are cleared, 2 bytes each. In IPv6 there is only one.
  std::array<std::uint32_t, 2> cleared{};
};

/// A request that the slow path has checked and whose context the card has. tx_repeat.cpp sends frames that repeat a
/// request for checksums or a tag as fast as frames without a request; tx_repeat_segments.cpp those to be segmented.
struct alignas(128) TxRepeat {  // a power of two, so that an index is shifted
  /// Sends frames that repeat the request, as far as the first of `count` frames do and there is room. Moves `next`
  /// past the slots it wrote. Returns their number.
  using Send = std::uint32_t(TxRing& ring, const TxRepeat& repeat, Mbuf* const* frames, std::uint32_t count,
                             RingIndex& next) noexcept;
  static std::uint32_t send_none(TxRing& /*ring*/, const TxRepeat& /*repeat*/, Mbuf* const* /*frames*/,
                                 std::uint32_t /*count*/, RingIndex& /*next*/) noexcept {
    return 0;
  }
  /// A burst of one frame, for which there is room: sends it if it repeats the request, or else as `tx_request_burst`
  /// does. Returns the number of frames that it took.
  using SendOne = std::uint32_t(TxRing& ring, const TxRepeat& repeat, Mbuf* const* frames, TxBurstLoop* rest) noexcept;
  static SendOne send_any;

  std::uint64_t what = 0;        ///< the request's flags and tags
  std::uint64_t lengths = 0;     ///< its lengths; a tag does not depend on them
  std::uint64_t command = 0;     ///< the descriptor's high word for the shortest frame
  std::uint64_t per_byte = 0;    ///< as in TxFastPath
  std::uint32_t shortest = 0;    ///< as in TxFastPath
  std::uint32_t max_excess = 0;  ///< as in TxFastPath
  /// Where the IPv4 checksum is, which is cleared: counted from the frame's first byte, or from its IOVA.
  std::size_t ip_checksum = 0;
  const ContextState* context = nullptr;  ///< as in TxFastPath
  Send* send = &send_none;
  SendOne* send_one = &send_any;
  TxRepeatedSegments segments;
};

/// The contexts that the card keeps for a transmit queue. A frame that needs one of them needs no context descriptor.
/// [I-TXCONTEXT] Two, selected by the index in a descriptor. A reset of the card or of the queue may clear them.
class TxContexts {
 public:
  static constexpr std::uint32_t kContexts = 2;

  /// The slots that a frame needs in front of its data: 1 if the card does not have its context.
  [[nodiscard]] std::uint32_t slots_for(const TxCommand& command) const noexcept {
    return command.has_context && index_of(command.context) == kContexts ? 1 : 0;
  }
  /// The bits of the data descriptors that select a context which the card has.
  [[nodiscard]] std::uint64_t select(const TxCommand& command) noexcept {
    const std::uint32_t index = index_of(command.context);
    use(index);
    return index_bits(index);
  }
  /// Replaces the context that was used less recently. Returns the descriptor that gives it to the card.
  [[nodiscard]] hw::intel::Descriptor replace_oldest(const TxCommand& command) noexcept {
    const std::uint32_t oldest = 1 - latest_;
    known_[oldest] = command.context;
    repeats_[oldest] = {};
    return {command.context.lo, command.context.hi | index_bits(oldest)};
  }
  /// For a card with one context, which no index selects.
  [[nodiscard]] hw::intel::Descriptor replace_only(const TxCommand& command) noexcept {
    *this = {};
    known_[0] = command.context;
    return command.context;
  }
  void clear() noexcept { *this = {}; }
  void forget_repeats() noexcept { repeats_ = {}; }
  /// Whether a frame needed a context since the ring was empty. Only then are there slots without an mbuf.
  [[nodiscard]] bool any() const noexcept { return (known_[0].hi | known_[1].hi) != 0; }

  [[nodiscard]] std::uint32_t latest() const noexcept { return latest_; }
  /// Marks a context as the one used last.
  void use(std::uint32_t index) noexcept { latest_ = index; }
  /// `repeat`: the request that the context used last serves.
  void remember(const TxRepeat& repeat) noexcept { repeats_[latest_] = repeat; }
  [[nodiscard]] const TxRepeat& repeat(std::uint32_t index) const noexcept { return repeats_[index]; }

 private:
  [[nodiscard]] static constexpr std::uint64_t index_bits(std::uint32_t index) noexcept {
    return std::uint64_t{index} << hw::intel::tx::kContextShift;
  }
  [[nodiscard]] std::uint32_t index_of(const hw::intel::Descriptor& context) const noexcept {
    if (known_[0] == context) return 0;
    return known_[1] == context ? 1 : kContexts;
  }

  std::array<hw::intel::Descriptor, kContexts> known_{};  // all zero, which is no context, until the card has one
  std::array<TxRepeat, kContexts> repeats_{};             // matches no frame until it is remembered
  std::uint32_t latest_ = 1;
};

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
  return (request.flags & TxOffload::kSegmentation) != 0;
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

/// The same without the card, for a request that it cannot fulfil: tags and checksums alone.
[[nodiscard]] std::uint64_t* prepare_in_software(TxDrops& drops, Mbuf& frame, const TxAbilities& card,
                                                 TxCommand& command) noexcept;

/// The part of a request for the segmentation of TCP in a tunnel that the card's description of headers cannot tell.
struct TunnelSegments {
  std::uint32_t headers = 0;  ///< bytes in front of the TCP payload
  std::uint32_t payload = 0;  ///< bytes
  bool outer_ipv4 = false;    ///< otherwise the outer IP header is IPv6
};

/// Whether the frame is a TCP packet in a tunnel as the request says, whose headers lie in the first mbuf and whose
/// segments have at most `max_frame` bytes. Changes nothing.
[[nodiscard]] bool is_tunnel_packet(const Mbuf& frame, const TxOffload& request, std::uint32_t max_frame,
                                    TunnelSegments& segments) noexcept;

/// Prepares the headers of such a frame. The first mbuf's bytes must not be shared. What all segments have in common is
/// written: the lengths and checksums behind the outer IP header. The card changes only the outer IP header and the TCP
/// header.
void prepare_tunnel_headers(Mbuf& frame, const TxOffload& request, const TunnelSegments& segments) noexcept;

}  // namespace pollux::drivers::intel
