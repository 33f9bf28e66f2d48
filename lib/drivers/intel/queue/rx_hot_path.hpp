// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "base/compiler.hpp"
#include "drivers/intel/queue/ablation.hpp"
#include "drivers/intel/queue/rx_queue.hpp"

namespace pollux::drivers::intel {

/// What the files of the receive half share: rx_burst.hpp is the path of plain frames, rx_slow.cpp that of all
/// others.
struct RxHotPath {
  /// Slots ahead whose frame data is prefetched: far enough for a miss to memory, near enough to stay in the
  /// first-level cache. Halves the cold cost under backlog.
  static constexpr std::uint32_t kPrefetchDistance = 24;
  /// Polls that may find a descriptor done without a length before it counts as a bad write-back. An emulated card on
  /// another core writes back in several stores, so that a slot armed a moment ago can look done; silicon writes it as
  /// one.
  static constexpr std::uint32_t kMaxEmptyWritebackPolls = 1000;
  /// Segments of a frame: 9.5 KiB in buffers of 1 KiB is 10.
  static constexpr std::uint32_t kMaxSegments = 32;
  /// Descriptors between two doorbells, on rings of at least four times as many.
  static constexpr std::uint32_t kGroup = 32;

  /// Status bits and length that decide whether a frame is plain.
  static constexpr std::uint64_t kFastPathMask = hw::intel::rx::kDone | hw::intel::rx::kEndOfPacket |
                                                 hw::intel::rx::kDataError |
                                                 hw::intel::rx::kLengthMask << hw::intel::rx::kLengthShift;
  /// Of a plain frame of one byte.
  static constexpr std::uint64_t kPlain =
      hw::intel::rx::kDone | hw::intel::rx::kEndOfPacket | std::uint64_t{1} << hw::intel::rx::kLengthShift;
  /// No status has the bit that this one has: every frame takes the slow path.
  static constexpr std::uint64_t kNeverPlain = hw::intel::rx::kVlan;
  static_assert((kFastPathMask & kNeverPlain) == 0);

  /// One burst. `BurstLoop` takes what is more than one plain frame. `Remote`: registers are functions, and an empty
  /// poll sends what they have queued. `OneDelta`: IOVA minus address is the same for the whole pool.
  template <auto BurstLoop, bool Remote, bool OneDelta>
  static std::uint32_t burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  /// Takes runs of plain frames, each by `Loop`, and hands over to `slow` where another one comes.
  template <class Loop, bool Remote, bool OneDelta>
  static std::uint32_t burst_loop(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept;

  /// The rest of a burst, one descriptor at a time: frames of several buffers, bad ones, and a pool that has run dry.
  static std::uint32_t slow(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept;

  /// Arms `slot` with the buffer that is behind it.
  static void arm(RxQueue& queue, std::uint32_t slot) noexcept;

  /// Moves on from `slot` by `slots` and tells the card when a group of slots has been armed: a doorbell costs a bus
  /// write, so one for each group. At idle up to a group less one stays untold, which a ring of four groups does not
  /// miss.
  template <bool Remote>
  static POLLUX_ALWAYS_INLINE void advance(RxQueue& queue, std::uint32_t slot, std::uint32_t slots) noexcept {
    const std::uint32_t after = slot + slots;
    publish(queue.next_, after & queue.mask_);
    if (ablation::has(ablation::Part::doorbell_groups) && (slot ^ after) <= queue.group_mask_) return;
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

  static POLLUX_ALWAYS_INLINE void count_packets(RxQueue& queue, std::uint32_t packets) noexcept {
    if constexpr (ablation::has(ablation::Part::packet_count)) add_to(queue.packets_, packets);
  }

 private:
  template <bool Remote, bool OneDelta>
  static bool burst_one(RxQueue& queue, Mbuf** out, std::uint32_t slot, std::uint64_t status) noexcept;

  // What becomes of one descriptor on the slow path.
  enum class Outcome : std::uint8_t { not_done, consumed, frame };
  static bool card_stands_at(const RxQueue& queue, std::uint32_t slot) noexcept;
  static std::uint64_t status_without_length(RxQueue& queue, std::uint32_t slot) noexcept;
  static Outcome take_slow(RxQueue& queue, Mbuf*& out) noexcept;
  static Outcome reject(RxQueue& queue, std::uint64_t& counter, std::uint64_t status) noexcept;
  static Outcome extend_chain(RxQueue& queue, Mbuf& segment, std::uint64_t low, std::uint64_t status,
                              Mbuf*& out) noexcept;
  static bool replace(RxQueue& queue, std::uint32_t slot) noexcept;
};

/// The burst functions of a mapped or a remote card, one pair for each instruction set. Those of a wider one expect a
/// pool of one segment, and a processor that has it.
[[nodiscard]] pollux::RxQueue::BurstFunction* rx_burst_scalar(bool remote, bool one_delta) noexcept;
#if defined(__x86_64__)
[[nodiscard]] pollux::RxQueue::BurstFunction* rx_burst_avx2(bool remote) noexcept;
[[nodiscard]] pollux::RxQueue::BurstFunction* rx_burst_avx512(bool remote) noexcept;
#elif defined(__aarch64__)
[[nodiscard]] pollux::RxQueue::BurstFunction* rx_burst_neon(bool remote) noexcept;
#endif

}  // namespace pollux::drivers::intel
