// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/compiler.hpp"
#include "hw/intel/descriptors.hpp"
#include "mem/mempool_core.hpp"
#include "net/frame_size.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/net/queue_driver.hpp"

namespace pollux::drivers::intel {

/// Which frames a receive queue copies (RxQueueConfig::copy_break).
struct RxCopying {
  std::uint32_t max_length = 0;                       ///< bytes; 0: none
  std::shared_ptr<MempoolCacheCore> cache = nullptr;  ///< of the copies' mbufs; null: the queue's
};

/// Into which mbufs the card puts the headers of frames (RxQueueConfig::header_pool).
struct RxSplitting {
  std::shared_ptr<MempoolCacheCore> cache = nullptr;  ///< of the headers' mbufs; null: frames are not split
  std::uint32_t header_bytes = 0;                     ///< that the card may write into one, SRRCTL.BSIZEHEADER
};

/// The parameters of the receive fast path: which frames take it, and how their mbufs are filled in. The hot loop keeps
/// them in registers.
struct RxFastPath {
  std::uint64_t mask = 0;           ///< bits of the write-back's high word that are compared
  std::uint64_t expected = 0;       ///< their value for a frame of one byte; matches no frame while a chain grows
  std::uint64_t max_excess = 0;     ///< largest frame, less one byte
  std::uint64_t one_byte_word = 0;  ///< MbufAccess::word of a frame of one byte
  std::uint64_t iova_delta = 0;     ///< from an mbuf's address to its frame's IOVA

  /// From the start of an mbuf's buffer to its frame.
  [[nodiscard]] std::uint64_t data_offset() const noexcept {
    return one_byte_word >> MbufAccess::kOffsetShift & 0xFFFF;
  }
};

/// A receive ring: all that bursts read and write. rx_burst.hpp has its fast path, rx_slow.cpp its slow path.
/// IntelRxQueue sets it up and changes it while no burst runs.
struct alignas(kApart) RxRing : pollux::RxQueueDriver {
  /// Distance in slots from the current frame to the one whose data is prefetched: far enough to cover a cache miss to
  /// memory, near enough to stay in the first-level cache. Halves the cost of a backlog whose data is not cached.
  static constexpr std::uint32_t kPrefetchDistance = 24;
  /// Descriptors between two doorbells. Rings of fewer than four groups have groups of a quarter.
  static constexpr std::uint32_t kGroup = 32;
  /// Segments of a frame. 9.5 KiB in buffers of 1 KiB need 10.
  static constexpr std::uint32_t kMaxSegments = 32;

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

  /// The state of a frame in several buffers.
  enum class Chain : std::uint8_t { none, growing, discarding };

  using pollux::RxQueueDriver::cache_;
  using pollux::RxQueueDriver::drops_;
  using pollux::RxQueueDriver::packets_;

  /// Whether a received frame of so many bytes has a length that no good frame has. The card reports a wrong frame
  /// check sequence alone in the descriptor (I210 datasheet, 7.1.4.1, on RXE).
  [[nodiscard]] bool is_bad_length(std::uint32_t bytes, std::uint64_t status) const noexcept {
    constexpr std::uint32_t kShortest = 64;  // IEEE 802.3, 3.2.8
    return on_wire(bytes, status) < kShortest || is_too_long(bytes, status);
  }
  [[nodiscard]] bool is_too_long(std::uint32_t bytes, std::uint64_t status) const noexcept {
    return on_wire(bytes, status) > longest_good.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint32_t on_wire(std::uint32_t bytes, std::uint64_t status) const noexcept {
    return bytes + (keeps_fcs ? 0 : kFcsBytes) + ((status & hw::intel::rx::kVlan) != 0 ? kVlanTagBytes : 0);
  }
  /// Whether headers get mbufs of their own.
  [[nodiscard]] bool splits_frames() const noexcept { return splitting.cache != nullptr; }

  // First cache line, with the base's gate and cache: all that an empty poll reads.
  std::uint32_t next = 0;  // the next slot to poll
  std::uint32_t mask = 0;  // slots - 1
  hw::intel::Descriptor* descriptors = nullptr;
  Mbuf** slots = nullptr;  // the mbuf of each descriptor, and kPrefetchDistance more to prefetch from

  // Second cache line: what a burst with frames needs.
  alignas(64) RxFastPath fast_path;
  std::uint32_t group_mask = 0;  // slots between two doorbells, less one
  std::uint32_t max_length = 0;  // bytes the card may write into a buffer
  Doorbell tail;

  // The slow path's.
  alignas(64) Mbuf* chain_head = nullptr;
  Mbuf* chain_tail = nullptr;
  Chain chain = Chain::none;
  bool keeps_bad_frames = false;
  bool drops_long_frames = false;  // of more than longest_good: the card has no limit that could be set
  bool checks_length = false;      // either
  bool keeps_fcs = false;
  std::uint64_t bad_frame_count = 0;
  /// Bytes of the longest good frame on the wire. The control thread writes it; bursts of a queue that checks lengths
  /// read it.
  std::atomic<std::uint32_t> longest_good{UINT32_MAX};
  Bar registers;
  std::uint32_t head_offset = 0;
  std::uint32_t empty_write_backs = 0;  // consecutive polls that found a slot done with length 0
  std::uint64_t packets_at_empty = 0;   // packets_ at the last such poll
  BurstFunction* uncopied = nullptr;    // the burst function whose frames are copied
  RxCopying copying;
  std::uint64_t copy_word = 0;  // MbufAccess::word of an empty copy
  RxSplitting splitting;
  std::vector<Mbuf*> headers;     // the mbuf of each descriptor's header, if frames are split
  std::uint64_t header_word = 0;  // MbufAccess::word of an empty one
};

/// Takes the rest of a burst, one descriptor at a time. Handles frames in several buffers, frames with errors and an
/// exhausted pool.
std::uint32_t rx_slow(RxRing& ring, Mbuf** out, std::uint32_t limit) noexcept;
/// Bursts that take one descriptor at a time, as `rx_slow`: of a queue whose frames' lengths are looked at, since it
/// keeps bad frames or drops long ones, and of one whose card splits frames (RxQueueConfig::header_pool).
std::uint32_t rx_burst_keeping(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
std::uint32_t rx_burst_splitting(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
/// A burst whose short frames are copied (RxQueueConfig::copy_break).
std::uint32_t rx_burst_copying(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;

/// Writes the descriptor of `slot` with the buffer of its mbuf, and with that of its header if frames are split.
void arm_again(RxRing& ring, std::uint32_t slot) noexcept;
/// Whether the descriptor of `slot`, which is done, has a frame or a part of one.
[[nodiscard]] bool slot_has_frame(const RxRing& ring, std::uint32_t slot) noexcept;

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
