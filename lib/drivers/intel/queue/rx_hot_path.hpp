// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "base/compiler.hpp"
#include "drivers/intel/queue/rx_queue.hpp"

namespace pollux::drivers::intel {

/// Constants and functions that the receive fast path (rx_burst.hpp) and slow path (rx_slow.cpp) share.
struct RxHotPath {
  /// Distance in slots from the current frame to the one whose data is prefetched: far enough to cover a cache miss to
  /// memory, near enough to stay in the first-level cache. Halves the cost of a backlog whose data is not cached.
  static constexpr std::uint32_t kPrefetchDistance = 24;
  /// Polls that may find a descriptor done with length 0 before it counts as a bad write-back. An emulated card on
  /// another core writes back with several stores, so a slot armed a moment ago can look done. Silicon writes back with
  /// one.
  static constexpr std::uint32_t kMaxEmptyWritebackPolls = 1000;
  /// Segments of a frame. 9.5 KiB in buffers of 1 KiB need 10.
  static constexpr std::uint32_t kMaxSegments = 32;
  /// Descriptors between two doorbells. Rings of fewer than four groups have groups of a quarter.
  static constexpr std::uint32_t kGroup = 32;

  /// The status bits and the length, which decide whether a frame takes the fast path.
  static constexpr std::uint64_t kFastPathMask = hw::intel::rx::kDone | hw::intel::rx::kEndOfPacket |
                                                 hw::intel::rx::kDataError |
                                                 hw::intel::rx::kLengthMask << hw::intel::rx::kLengthShift;
  /// Their value for a fast-path frame of one byte.
  static constexpr std::uint64_t kFastPathExpected =
      hw::intel::rx::kDone | hw::intel::rx::kEndOfPacket | std::uint64_t{1} << hw::intel::rx::kLengthShift;
  /// A value that no masked status can match: every frame takes the slow path.
  static constexpr std::uint64_t kNeverExpected = hw::intel::rx::kVlan;
  static_assert((kFastPathMask & kNeverExpected) == 0);

  /// One burst. `BurstLoop` takes whatever is not a single fast-path frame. `Remote`: registers are accessed through
  /// functions, and an empty poll flushes their posted writes. `OneDelta`: IOVA minus address is the same for the whole
  /// pool.
  template <auto BurstLoop, bool Remote, bool OneDelta>
  static std::uint32_t burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  /// Takes each run of fast-path frames with `Loop`. `slow` takes the rest of the burst from the first other frame on.
  template <class Loop, bool Remote, bool OneDelta>
  static std::uint32_t burst_loop(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept;

  /// Takes the rest of a burst, one descriptor at a time. Handles frames in several buffers, frames with errors and an
  /// exhausted pool.
  static std::uint32_t slow(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept;

  /// A burst whose short frames are copied (RxQueueConfig::copy_break).
  static std::uint32_t burst_copying(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;

  /// Where the headers of a frame are: in the frame alone, in a buffer of their own, or in both.
  enum class Headers : std::uint8_t { in_frame, split, copied };

  /// A burst of a queue whose card splits frames (RxQueueConfig::header_pool): one descriptor at a time, as `slow`.
  static std::uint32_t burst_splitting(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  /// The same if the card copies the headers (RxQueueConfig::replicate_headers).
  static std::uint32_t burst_copying_headers(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;

  /// Writes the descriptor of `slot` with the buffer of its mbuf, and with that of its header if frames are split.
  static void arm_again(RxQueue& queue, std::uint32_t slot) noexcept;
  /// Whether the descriptor of `slot`, which is done, has a frame or a part of one.
  [[nodiscard]] static bool has_frame(const RxQueue& queue, std::uint32_t slot) noexcept;

  /// Moves on from `slot` by `slots`. Writes the doorbell once per group, since each doorbell is a bus write. So
  /// while no frames arrive, the card does not know of the last armed slots, which are fewer than a group. A ring has
  /// at least four groups, so enough slots remain.
  template <bool Remote>
  static POLLUX_ALWAYS_INLINE void advance(RxQueue& queue, std::uint32_t slot, std::uint32_t slots) noexcept {
    const std::uint32_t after = slot + slots;
    publish(queue.next_, after & queue.mask_);
    if ((slot ^ after) <= queue.group_mask_) return;
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
    add_to(queue.packets_, packets);
  }

 private:
  template <bool Remote, bool OneDelta>
  static bool burst_one(RxQueue& queue, Mbuf** out, std::uint32_t slot, std::uint64_t status) noexcept;

  static Mbuf* copy_of(const RxQueue& queue, MempoolCacheCore& cache, const Mbuf& frame) noexcept;

  // The result of one descriptor on the slow path.
  enum class Outcome : std::uint8_t { not_done, consumed, frame };
  static bool head_is_at(const RxQueue& queue, std::uint32_t slot) noexcept;
  static std::uint64_t recheck_empty_write_back(RxQueue& queue, std::uint32_t slot) noexcept;
  static hw::intel::Descriptor armed_for_split(const RxQueue& queue, std::uint32_t slot) noexcept;
  template <Headers Where>
  static std::uint32_t header_length(std::uint64_t low, std::uint64_t status, std::uint32_t limit) noexcept;
  template <Headers Where>
  static bool is_empty(const RxQueue& queue, std::uint32_t slot, std::uint64_t status) noexcept;
  template <Headers Where>
  static bool lies(const RxQueue& queue, std::uint32_t slot, std::uint64_t low, std::uint64_t status,
                   std::uint32_t header) noexcept;
  static void arm(RxQueue& queue, std::uint32_t slot) noexcept;
  template <Headers Where>
  static std::uint32_t take_all(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept;
  template <Headers Where>
  static Outcome take_slow(RxQueue& queue, Mbuf*& out) noexcept;
  template <Headers Where>
  static Outcome take_split(RxQueue& queue, std::uint64_t low, std::uint64_t status, std::uint32_t header,
                            Mbuf*& out) noexcept;
  static Outcome reject(RxQueue& queue, std::uint64_t& counter, std::uint64_t status) noexcept;
  static Outcome extend_chain(RxQueue& queue, Mbuf& segment, std::uint64_t low, std::uint64_t status,
                              Mbuf*& out) noexcept;
  template <Headers Where>
  static bool replace(RxQueue& queue, std::uint32_t slot) noexcept;
  static bool has_fresh(MempoolCacheCore& cache) noexcept;
  static Mbuf* take_fresh(MempoolCacheCore& cache) noexcept;
};

/// The burst functions for mapped and for remote registers, by instruction set. The SIMD ones need a pool of one
/// segment, and a processor that has the instructions.
[[nodiscard]] pollux::RxQueue::BurstFunction* rx_burst_scalar(bool remote, bool one_delta) noexcept;
#if defined(__x86_64__)
[[nodiscard]] pollux::RxQueue::BurstFunction* rx_burst_avx2(bool remote) noexcept;
[[nodiscard]] pollux::RxQueue::BurstFunction* rx_burst_avx512(bool remote) noexcept;
#elif defined(__aarch64__)
[[nodiscard]] pollux::RxQueue::BurstFunction* rx_burst_neon(bool remote) noexcept;
#endif

}  // namespace pollux::drivers::intel
