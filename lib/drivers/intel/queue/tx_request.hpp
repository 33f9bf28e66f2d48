// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>

#include "hw/intel/descriptors.hpp"
#include "pollux/mem/mbuf.hpp"

namespace pollux::drivers::intel {

struct TxDrops;

/// What the card does with a frame: a context that describes its headers, and command bits of its data descriptors.
struct TxCommand {
  hw::intel::Descriptor context;  ///< without an index; only if `has_context`
  std::uint64_t flags = 0;        ///< for each of the frame's data descriptors
  std::uint32_t payload = 0;      ///< bytes: the frame's, or with segmentation those after its headers
  bool has_context = false;
};

/// The contexts that the card keeps for a transmit queue. A frame that needs one of them needs no context descriptor.
/// [I-TXCONTEXT] Two, selected by the index in a descriptor. A reset of the card or of the queue may clear them.
class TxContexts {
 public:
  /// The slots that a frame needs in front of its data: 1 if the card does not have its context.
  [[nodiscard]] std::uint32_t slots_for(const TxCommand& command) const noexcept {
    return command.has_context && index_of(command.context) == kContexts ? 1 : 0;
  }
  /// The bits of the data descriptors that select a context which the card has.
  [[nodiscard]] std::uint64_t select(const TxCommand& command) noexcept {
    oldest_ = 1 - index_of(command.context);
    return index_bits(1 - oldest_);
  }
  /// Replaces the context that was used less recently. Returns the descriptor that gives it to the card.
  [[nodiscard]] hw::intel::Descriptor replace_oldest(const TxCommand& command) noexcept {
    known_[oldest_] = command.context;
    return {command.context.lo, command.context.hi | index_bits(oldest_)};
  }
  void clear() noexcept { *this = {}; }
  /// Whether a frame needed a context since the ring was empty. Only then are there slots without an mbuf.
  [[nodiscard]] bool any() const noexcept { return (known_[0].hi | known_[1].hi) != 0; }

 private:
  static constexpr std::uint32_t kContexts = 2;

  [[nodiscard]] static constexpr std::uint64_t index_bits(std::uint32_t index) noexcept {
    return std::uint64_t{index} << hw::intel::tx::kContextShift;
  }
  [[nodiscard]] std::uint32_t index_of(const hw::intel::Descriptor& context) const noexcept {
    if (known_[0] == context) return 0;
    return known_[1] == context ? 1 : kContexts;
  }

  std::array<hw::intel::Descriptor, kContexts> known_{};  // all zero, which is no context, until the card has one
  std::uint32_t oldest_ = 0;
};

/// The offload requests that a queue fulfils. Software inserts VLAN tags.
inline constexpr std::uint32_t kTxSoftwareOffloads = TxOffload::insert_vlan | TxOffload::insert_outer_vlan;
inline constexpr std::uint32_t kTxOffloads =
    TxOffload::kChecksums | TxOffload::tcp_segmentation | TxOffload::udp_segmentation | kTxSoftwareOffloads;

/// The limits of a request for segmentation: bytes of the frame, and its mbufs. QEMU's card refuses an IP packet of
/// more than 65,535 bytes, and one in more than 64 buffers (hw/net/net_tx_pkt.c). [I-TSOMAX]
inline constexpr std::uint32_t kMaxTso = 65'535;
inline constexpr std::uint32_t kMaxTsoSegments = 40;

/// Whether the frame requests segmentation.
[[nodiscard]] inline bool is_segmented(const TxOffload& request) noexcept {
  return (request.flags & (TxOffload::tcp_segmentation | TxOffload::udp_segmentation)) != 0;
}

/// Prepares a frame whose mbufs are valid, and that requests nothing but kTxOffloads: decides what the card does for
/// its offload request, and does the rest in software. `max_frame`: bytes of the longest frame that the card may send.
/// Returns nullptr, or the drop counter of a frame that cannot be sent.
[[nodiscard]] std::uint64_t* prepare_request(TxDrops& drops, Mbuf& frame, std::uint32_t max_frame,
                                             TxCommand& command) noexcept;

}  // namespace pollux::drivers::intel
