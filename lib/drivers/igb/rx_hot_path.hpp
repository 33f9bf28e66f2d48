// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "base/compiler.hpp"
#include "drivers/igb/rx_queue.hpp"

namespace pollux::igb {

/// What rx_burst.cpp, rx_careful.cpp and rx_queue.cpp share about a receive queue.
struct RxHotPath {
  /// Slots ahead whose frame data is prefetched: far enough for a miss to memory, near enough to stay in the
  /// first-level cache. Halves the cold cost under backlog.
  static constexpr std::uint32_t kLookAhead = 24;
  /// Polls that may find a descriptor done without a length before it counts as a bad write-back. An emulated card on
  /// another core writes back in several stores, so that a slot armed a moment ago can look done; silicon writes it as
  /// one.
  static constexpr std::uint32_t kPatience = 1000;
  /// Segments of a frame: 9.5 KiB in buffers of 1 KiB is 10.
  static constexpr std::uint32_t kMaxSegments = 32;

  /// Status bits and length that decide whether a frame is plain.
  static constexpr std::uint64_t kInspected = hw::igb::rx::kDone | hw::igb::rx::kEndOfPacket | hw::igb::rx::kDataError |
                                              hw::igb::rx::kLengthMask << hw::igb::rx::kLengthShift;
  static constexpr std::uint64_t kPlain = hw::igb::rx::kDone | hw::igb::rx::kEndOfPacket;
  /// No status equals this one: every frame takes the careful way.
  static constexpr std::uint64_t kNeverPlain =
      ~std::uint64_t{0} & ~(hw::igb::rx::kLengthMask << hw::igb::rx::kLengthShift);

  /// `Remote`: registers are functions, and an empty poll sends what they have queued.
  /// `OneDelta`: IOVA minus address is the same for the whole pool.
  template <bool Remote, bool OneDelta>
  static std::uint32_t burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;

  /// The rest of a burst, one descriptor at a time: frames of several buffers, bad ones, and a pool that has run dry.
  static std::uint32_t careful(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept;

  /// Arms `slot` with the buffer that is behind it.
  static void arm(RxQueue& queue, std::uint32_t slot) noexcept;

  /// Moves on by `slots` and tells the card when a group of slots has been armed: a doorbell costs a bus write, so one
  /// for each group. At idle up to a group less one stays untold, which a ring of four groups does not miss.
  template <bool Remote>
  static POLLUX_ALWAYS_INLINE void advance(RxQueue& queue, std::uint32_t slots) noexcept {
    const std::uint32_t before = queue.next_;
    const std::uint32_t after = before + slots;
    queue.next_ = after & queue.mask_;
    if (((before ^ after) & ~queue.group_mask_) == 0) return;
    ring_tail<Remote>(queue, (after & ~queue.group_mask_) - 1);
  }

  template <bool Remote>
  static POLLUX_ALWAYS_INLINE void ring_tail(RxQueue& queue, std::uint32_t position) noexcept {
    if constexpr (Remote) {
      queue.tail_.ring(position & queue.mask_);
    } else {
      queue.tail_.ring_mapped(position & queue.mask_);
    }
  }

 private:
  struct Constants;
  struct Step;
  template <bool Remote, bool OneDelta>
  static std::uint32_t several(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept;
  template <bool Remote, bool OneDelta>
  static bool single(RxQueue& queue, Mbuf** out, std::uint64_t status) noexcept;
  template <bool OneDelta>
  static bool take_plain(const Constants& constants, hw::igb::Descriptor& descriptor, std::uint64_t status, Mbuf*& slot,
                         Mbuf* fresh, Mbuf*& out) noexcept;

  // What becomes of one descriptor on the careful way.
  enum class Fate : std::uint8_t { not_done, consumed, frame };
  static bool out_of_patience(RxQueue& queue) noexcept;
  static bool card_stands_at(const RxQueue& queue, std::uint32_t slot) noexcept;
  static Fate take_carefully(RxQueue& queue, Mbuf*& out) noexcept;
  static Fate reject(RxQueue& queue, std::uint64_t& counter, std::uint64_t status) noexcept;
  static Fate extend_chain(RxQueue& queue, Mbuf& segment, std::uint64_t low, std::uint64_t status, Mbuf*& out) noexcept;
  static bool replace(RxQueue& queue, std::uint32_t slot) noexcept;
};

}  // namespace pollux::igb
