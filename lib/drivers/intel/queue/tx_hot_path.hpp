// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "base/compiler.hpp"
#include "drivers/intel/queue/tx_queue.hpp"

namespace pollux::drivers::intel {

/// Constants and functions that the transmit fast path (tx_burst.hpp) and slow path (tx_slow.cpp) share.
struct TxHotPath {
  /// Slots in a group. Rings of fewer than four groups have groups of a quarter.
  static constexpr std::uint32_t kGroup = 32;

  /// What one more byte adds to a descriptor: one to each of its two length fields.
  static constexpr std::uint64_t kPerByte = (std::uint64_t{1} << hw::intel::tx::kPayloadShift) | 1;
  static constexpr std::uint64_t kWholeFrame = hw::intel::tx::kData | hw::intel::tx::kEndOfPacket;

  /// One burst. `BurstLoop` sends whatever is not a single fast-path frame. `Small`: a ring of fewer than four groups.
  /// `Remote`: registers are accessed through functions, and their posted writes are flushed.
  template <auto BurstLoop, bool Remote, bool Small>
  static std::uint32_t burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  /// Cleans the groups that are done. Then sends each run of fast-path frames with `Loop`, and the frames between them
  /// with `send_slow`.
  template <class Loop, bool Remote, bool Small>
  static std::uint32_t burst_loop(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  /// An empty burst: reclaims sent buffers. Returns the number of slots that became free if `mbufs` is null, else 0.
  static std::uint32_t idle_burst(TxQueue& queue, Mbuf* const* mbufs) noexcept;

  /// Whether the frame has an offload request.
  [[nodiscard]] static POLLUX_ALWAYS_INLINE bool has_request(Mbuf* frame) noexcept {
    return (POLLUX_CHECKED == 0 || frame != nullptr) && (MbufAccess::special(*frame) & MbufAccess::kOffload) != 0;
  }
  /// The rest of a burst.
  using BurstLoop = std::uint32_t(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  /// One burst whose first frame has a request. `rest` sends what follows the frames with requests.
  static std::uint32_t end_with_others(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count, std::uint32_t taken,
                                       BurstLoop* rest) noexcept;
  static void clean_done_groups(TxQueue& queue) noexcept;
  static void finish_either(TxQueue& queue, std::uint32_t frames) noexcept;
  static std::uint32_t request_burst(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count, BurstLoop* rest) noexcept;
  /// Sends the first frame, which has a request, and frames after it that repeat one. Moves `next` past the slots it
  /// wrote. Returns the number of frames that it took; 0: no room.
  static std::uint32_t send_requests(TxQueue& queue, Mbuf* const* frames, std::uint32_t count,
                                     RingIndex& next) noexcept;
  /// Sends frames that repeat the request of context `index`; 0 if the first one does not, or there is no room.
  static std::uint32_t send_repeats(TxQueue& queue, Mbuf* const* frames, std::uint32_t count, RingIndex& next,
                                    std::uint32_t index) noexcept;
  /// TxRepeat::Send for requests for checksums or a tag, by the loop that sends them, and for those for segmentation.
  template <auto Run>
  static std::uint32_t send_run(TxQueue& queue, const TxRepeat& repeat, Mbuf* const* frames, std::uint32_t count,
                                RingIndex& next) noexcept;
  static std::uint32_t send_segments(TxQueue& queue, const TxRepeat& repeat, Mbuf* const* frames, std::uint32_t count,
                                     RingIndex& next) noexcept;
  static std::uint32_t send_around_end(TxQueue& queue, const TxRepeat& repeat, Mbuf* const* frames,
                                       RingIndex& next) noexcept;
  /// Notes that some slots from `first` to `end` have no mbuf, and the others direct ones.
  static void note_gaps(TxQueue& queue, std::uint32_t first, std::uint32_t end) noexcept;
  /// Sets RS on the last slot of each group in `first` to `last`, and on `last`.
  static void report(TxQueue& queue, std::uint32_t first, std::uint32_t last) noexcept;
  /// Remembers the request of a frame that was queued with `command`, if frames with the same request can be sent
  /// without another check.
  static void remember_request(TxQueue& queue, Mbuf& frame, const TxCommand& command) noexcept;
  /// Completes `repeat`, for a request for segmentation, if its packets are long enough.
  static void remember_segments(Mbuf& frame, const TxCommand& command, TxRepeat& repeat) noexcept;

  /// The result of one frame on the slow path.
  enum class Outcome : std::uint8_t { queued, dropped, no_room };
  /// Sends chains, clones, external buffers and mbufs of other pools, and drops frames that cannot be sent. Moves
  /// `next` past the slots it wrote.
  static Outcome send_slow(TxQueue& queue, Mbuf* frame, RingIndex& next) noexcept;
  /// The same for a frame with an offload request.
  static Outcome send_request(TxQueue& queue, Mbuf* frame, RingIndex& next) noexcept;
  template <bool kRequest>
  static Outcome send_any(TxQueue& queue, Mbuf* frame, RingIndex& next) noexcept;

  /// Returns the drop counter of a frame that cannot be sent. Otherwise prepares its offload request
  /// (`prepare_request`) and returns nullptr.
  static std::uint64_t* drop_counter(TxQueue& queue, Mbuf& frame, TxCommand& command) noexcept;
  template <bool kRequest>
  static std::uint64_t* check(TxQueue& queue, Mbuf& frame, TxCommand& command) noexcept;
  /// Writes a descriptor to the slot `next`, with the mbuf that is freed when the card has sent it.
  static POLLUX_ALWAYS_INLINE void put(TxQueue& queue, RingIndex& next, const hw::intel::Descriptor& descriptor,
                                       Mbuf* mbuf) noexcept {
    const std::uint32_t slot = next.slot(queue.mask_);
    queue.ring_[slot] = descriptor;
    queue.slots_[slot] = mbuf;
    ++next;
  }
  /// Write the descriptors of a frame: one for each segment, or as many as each needs.
  static void put_whole(TxQueue& queue, RingIndex& next, Mbuf& frame, std::uint32_t payload,
                        std::uint64_t flags) noexcept;
  static void put_split(TxQueue& queue, RingIndex& next, Mbuf& frame, std::uint32_t payload,
                        std::uint64_t flags) noexcept;
  /// Inverts bits of the data descriptors from `first` to `end`.
  static void invert_bits(TxQueue& queue, RingIndex first, RingIndex end, std::uint64_t bits) noexcept;
  /// Frees a frame and counts it in `counter`.
  static Outcome drop(TxQueue& queue, Mbuf& frame, std::uint64_t& counter) noexcept;
  /// For a frame and its context in the slots from `first` to `end`: marks its groups as mixed. Groups that end inside
  /// the frame are reported by its last slot from now on.
  static void move_reports(TxQueue& queue, RingIndex first, RingIndex end) noexcept;

  /// One burst of a queue with head write-back.
  static std::uint32_t burst_by_head(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  /// Sets the done bits that the card would write without head write-back, up to the head that it wrote.
  static void mark_sent(TxQueue& queue) noexcept;
  /// The slots in front of the head that the card wrote, from the oldest one in flight. 0 if the head is none of a slot
  /// in flight.
  [[nodiscard]] static std::uint32_t sent_by_head(const TxQueue& queue) noexcept;

  /// Reclaims everything that the card has sent, also from a group that is not full.
  static std::uint32_t reclaim(TxQueue& queue) noexcept;
  /// Frees the mbufs of `count` slots from `first` on, one by one. The slot of a context has none.
  static void free_each(TxQueue& queue, RingIndex first, std::uint32_t count) noexcept;
  template <bool kGaps>
  static void free_slots_each(TxQueue& queue, RingIndex first, std::uint32_t count) noexcept;
  /// Marks `group` as not mixed, and reported by its last slot.
  static void reset_group(TxQueue& queue, std::uint32_t group) noexcept;
  /// Resets the oldest group. Call it after its buffers have been freed and before `clean_` moves on.
  static void end_group(TxQueue& queue) noexcept;
  /// Frees the mbufs of the oldest group, of `slots` slots, which has more than direct mbufs.
  static void free_group(TxQueue& queue, std::uint32_t slots) noexcept;
  static void free_between_gaps(TxQueue& queue, std::uint32_t slots) noexcept;

  /// Points `done_` at the descriptor word that reports the oldest group.
  static POLLUX_ALWAYS_INLINE void watch_oldest(TxQueue& queue) noexcept {
    const std::uint32_t group = queue.clean_.slot(queue.mask_) >> queue.group_shift_;
    queue.done_ = &queue.ring_[queue.report_slot_[group]].hi;
  }

  [[nodiscard]] static POLLUX_ALWAYS_INLINE std::uint32_t free_slots(const TxQueue& queue, RingIndex next) noexcept {
    return queue.mask_ - next.distance_from(queue.clean_);
  }

  /// Slots in a group, less one.
  template <bool Small>
  static std::uint32_t group_mask(const TxQueue& queue) noexcept;
  /// Whether the oldest group is full and the card has reported it done.
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

/// The burst functions for mapped and for remote registers, by instruction set. The SIMD ones need a ring of at least
/// four groups, and a processor that has the instructions.
[[nodiscard]] pollux::TxQueue::BurstFunction* tx_burst_scalar(bool remote, bool small) noexcept;
#if defined(__x86_64__)
[[nodiscard]] pollux::TxQueue::BurstFunction* tx_burst_avx2(bool remote) noexcept;
[[nodiscard]] pollux::TxQueue::BurstFunction* tx_burst_avx512(bool remote) noexcept;
#elif defined(__aarch64__)
[[nodiscard]] pollux::TxQueue::BurstFunction* tx_burst_neon(bool remote) noexcept;
#endif

}  // namespace pollux::drivers::intel
