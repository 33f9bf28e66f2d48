// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "base/compiler.hpp"
#include "drivers/igb/tx_queue.hpp"

namespace pollux::igb {

/// What tx_burst.cpp, tx_careful.cpp and tx_queue.cpp share about a transmit queue.
struct TxHotPath {
  /// Slots in a group, for all rings of at least four groups. Smaller rings have groups of a quarter.
  static constexpr std::uint32_t kGroup = 32;

  /// What one more byte changes in a descriptor: the buffer's length and the packet's.
  static constexpr std::uint64_t kPerByte = (std::uint64_t{1} << hw::igb::tx::kPayloadShift) | 1;
  static constexpr std::uint64_t kWholeFrame = hw::igb::tx::kData | hw::igb::tx::kEndOfPacket;

  /// `Remote`: registers are functions, and posted writes are sent on their way. `Small`: a ring of under four full
  /// groups.
  template <bool Remote, bool Small>
  static std::uint32_t burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;

  /// What became of a frame that is not plain.
  enum class Fate : std::uint8_t { queued, refused, no_room };
  /// Chains, offloads, clones, external buffers, other pools and frames that cannot be sent. Moves `next` past what it
  /// wrote.
  static Fate send_carefully(TxQueue& queue, Mbuf* frame, RingIndex& next) noexcept;

  /// Takes the group at the clean end back; its report slot must be done.
  template <bool Small>
  static void clean_group(TxQueue& queue) noexcept;
  /// Takes back all that the card is done with, also of a group that is not full.
  static std::uint32_t reclaim(TxQueue& queue) noexcept;
  /// Gives the buffers of `count` slots from `first` on back, each by its own rules.
  static void free_each(TxQueue& queue, RingIndex first, std::uint32_t count) noexcept;
  /// Makes `group` plain again and has its last slot report.
  static void reset_group(TxQueue& queue, std::uint32_t group) noexcept;
  /// The same for the group at the clean end once its buffers are back, before the end moves on.
  static void end_group(TxQueue& queue) noexcept;
  /// Points `done_` at what reports the group at the clean end.
  static void watch_oldest(TxQueue& queue) noexcept;

  [[nodiscard]] static std::uint32_t free_slots(const TxQueue& queue, RingIndex next) noexcept {
    return queue.mask_ - next.distance_from(queue.clean_);
  }

 private:
  struct Constants;
  template <bool Small>
  static std::uint32_t group_mask(const TxQueue& queue) noexcept;
  template <bool Small>
  static bool oldest_done(const TxQueue& queue) noexcept;
  template <bool Remote, bool Small>
  static bool single(TxQueue& queue, Mbuf* frame) noexcept;
  template <bool Remote, bool Small>
  static std::uint32_t several(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  template <bool Remote>
  static void finish(TxQueue& queue, RingIndex next, std::uint32_t frames) noexcept;
  static bool send_plain(const Constants& constants, hw::igb::Descriptor& descriptor, Mbuf*& slot,
                         Mbuf* frame) noexcept;
  static std::uint64_t* verdict(TxQueue& queue, Mbuf& frame) noexcept;
  static Fate refuse(TxQueue& queue, Mbuf& frame, std::uint64_t& counter) noexcept;
  static void move_reports(TxQueue& queue, RingIndex first, RingIndex end) noexcept;
};

}  // namespace pollux::igb
