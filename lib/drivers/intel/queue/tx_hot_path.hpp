// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "base/compiler.hpp"
#include "drivers/intel/queue/ablation.hpp"
#include "drivers/intel/queue/tx_queue.hpp"

namespace pollux::drivers::intel {

/// What the files of the transmit half share: tx_burst.hpp is the path of plain frames, tx_slow.cpp that of all
/// others.
struct TxHotPath {
  /// Slots in a group, for all rings of at least four groups. Smaller rings have groups of a quarter.
  static constexpr std::uint32_t kGroup = 32;

  static constexpr std::uint64_t kPerByte = (std::uint64_t{1} << hw::intel::tx::kPayloadShift) | 1;
  static constexpr std::uint64_t kWholeFrame = hw::intel::tx::kData | hw::intel::tx::kEndOfPacket;

  /// One burst. `BurstLoop` takes what is more than one plain frame, `Small`: a ring of under four full groups.
  /// `Remote`: registers are functions, and posted writes are sent on their way.
  template <auto BurstLoop, bool Remote, bool Small>
  static std::uint32_t burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  /// Takes groups back that are done, then sends runs of plain frames, each by `Loop`, and what else there is between
  /// them by `send_slow`.
  template <class Loop, bool Remote, bool Small>
  static std::uint32_t burst_loop(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  /// A burst of no frames: takes back what is done. The number of slots that freed, if `mbufs` is null.
  static std::uint32_t idle_burst(TxQueue& queue, Mbuf* const* mbufs) noexcept;

  /// What became of a frame that is not plain.
  enum class Outcome : std::uint8_t { queued, refused, no_room };
  /// Chains, offloads, clones, external buffers, other pools and frames that cannot be sent. Moves `next` past what it
  /// wrote.
  static Outcome send_slow(TxQueue& queue, Mbuf* frame, RingIndex& next) noexcept;

  /// The counter under which a frame has to be refused; nullptr if it can be sent. Its checksums are computed then.
  static std::uint64_t* drop_counter(TxQueue& queue, Mbuf& frame) noexcept;
  /// Gives a frame back and counts it.
  static Outcome refuse(TxQueue& queue, Mbuf& frame, std::uint64_t& counter) noexcept;
  /// Has groups that end between `first` and `end`, in the middle of a frame, reported with its last slot.
  static void move_reports(TxQueue& queue, RingIndex first, RingIndex end) noexcept;

  /// Takes back all that the card is done with, also of a group that is not full.
  static std::uint32_t reclaim(TxQueue& queue) noexcept;
  /// Gives the buffers of `count` slots from `first` on back, each by its own rules.
  static void free_each(TxQueue& queue, RingIndex first, std::uint32_t count) noexcept;
  /// Makes `group` plain again and has its last slot report.
  static void reset_group(TxQueue& queue, std::uint32_t group) noexcept;
  /// The same for the group at the clean end once its buffers are back, before the end moves on.
  static void end_group(TxQueue& queue) noexcept;
  /// The group at the clean end, which has something that is not plain.
  static void free_mixed_group(TxQueue& queue, std::uint32_t slots) noexcept;

  /// Points `done_` at what reports the group at the clean end.
  static POLLUX_ALWAYS_INLINE void watch_oldest(TxQueue& queue) noexcept {
    const std::uint32_t group = queue.clean_.slot(queue.mask_) >> queue.group_shift_;
    queue.done_ = &queue.ring_[queue.report_slot_[group]].hi;
  }

  [[nodiscard]] static POLLUX_ALWAYS_INLINE std::uint32_t free_slots(const TxQueue& queue, RingIndex next) noexcept {
    return queue.mask_ - next.distance_from(queue.clean_);
  }

  /// Slots in a group - 1.
  template <bool Small>
  static std::uint32_t group_mask(const TxQueue& queue) noexcept;
  /// Whether the group at the clean end is complete and the card is done with it.
  template <bool Small>
  static bool oldest_done(const TxQueue& queue) noexcept;

 private:
  template <class Loop, bool Small>
  static void clean_group(TxQueue& queue) noexcept;
  template <bool Remote, bool Small>
  static bool burst_one(TxQueue& queue, Mbuf* frame) noexcept;
  template <bool Remote>
  static void finish(TxQueue& queue, RingIndex next, std::uint32_t frames) noexcept;
};

/// The burst functions of a mapped or a remote card, one pair for each instruction set. Those of a wider one expect a
/// ring of at least four full groups, and a processor that has it.
[[nodiscard]] pollux::TxQueue::BurstFunction* tx_burst_scalar(bool remote, bool small) noexcept;
#if defined(__x86_64__)
[[nodiscard]] pollux::TxQueue::BurstFunction* tx_burst_avx2(bool remote) noexcept;
[[nodiscard]] pollux::TxQueue::BurstFunction* tx_burst_avx512(bool remote) noexcept;
#elif defined(__aarch64__)
[[nodiscard]] pollux::TxQueue::BurstFunction* tx_burst_neon(bool remote) noexcept;
#endif

}  // namespace pollux::drivers::intel
