// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>

#include "base/compiler.hpp"
#include "drivers/intel/queue/tx_request.hpp"
#include "hw/intel/descriptors.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/base/ring_index.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/net/queue_driver.hpp"

namespace pollux::drivers::intel {

/// The parameters of the transmit fast path: which frames take it, and how their descriptors are filled in. The hot
/// loop keeps them in registers.
struct TxFastPath {
  std::uint64_t command = 0;              ///< the descriptor's high word for the shortest frame
  std::uint64_t per_byte = 0;             ///< what one more byte adds to it, in both length fields
  std::uint32_t shortest = 0;             ///< length, pool and `special` of the shortest frame, as in MbufAccess::word
  std::uint32_t max_excess = 0;           ///< longest frame less the shortest, in bytes
  const ContextState* context = nullptr;  ///< the Context of the frames; checked builds compare it
};

struct TxRing;

/// The result of one frame on the slow path.
enum class TxOutcome : std::uint8_t { queued, dropped, no_room };
/// Sends a frame on the slow path. Moves `next` past the slots it wrote.
using TxSend = TxOutcome(TxRing& ring, Mbuf* frame, RingIndex& next) noexcept;

/// How a card's transmit descriptors are written: what the fast path adds up, and the slow path's functions.
struct TxFormat {
  std::uint64_t whole_frame = 0;  ///< the high word of a frame in one buffer, without its length
  std::uint64_t per_byte = 0;     ///< TxFastPath::per_byte
  TxSend* send_slow = nullptr;
  TxSend* send_request = nullptr;
  TxSend* send_request_alone = nullptr;  ///< of a port with one transmit queue
  bool two_lengths = false;              ///< of the buffer and of the packet; else of the buffer alone
};

/// A transmit ring: all that bursts read and write. tx_burst.hpp has its fast path, tx_slow.cpp its slow path.
/// IntelTxQueue sets it up and changes it while no burst runs.
///
/// The ring is divided into groups of slots. Only the last slot of a group and of a burst has RS set, so that the card
/// reports it done. A done group is cleaned as a whole, by what its slots have (GroupContent).
struct alignas(kApart) TxRing : pollux::TxQueueDriver {
  /// Slots in a group. Rings of fewer than four groups have groups of a quarter.
  static constexpr std::uint32_t kGroup = 32;
  /// The shortest frame, without FCS. The card pads frames to 60 bytes, but needs at least 17 (Linux igb pads shorter
  /// ones itself: igb_main.c, igb_xmit_frame).
  static constexpr std::uint32_t kMinFrame = 17;
  /// Segments of a frame: enough for 9.5 KiB in pieces of 300 bytes.
  static constexpr std::uint32_t kMaxSegments = 32;
  /// What one more byte adds to a descriptor: one to each of its two length fields.
  static constexpr std::uint64_t kPerByte = (std::uint64_t{1} << hw::intel::tx::kPayloadShift) | 1;
  static constexpr std::uint64_t kWholeFrame = hw::intel::tx::kData | hw::intel::tx::kEndOfPacket;
  static constexpr std::uint32_t kMaxGroups = 4096 / 32;

  /// What the slots of a group have, as bits.
  enum GroupContent : std::uint8_t {
    kDirect = 0,     ///< direct mbufs of the cache's pool: their pointers go to the cache, and no mbuf is read
    kGaps = 1 << 0,  ///< some slots have no mbuf, since a frame needed several
    kMixed = 1 << 1  ///< mbufs that must be freed one by one; slots of contexts, which have none
  };

  using pollux::TxQueueDriver::context;
  using pollux::TxQueueDriver::drops_;
  using pollux::TxQueueDriver::limits;
  using pollux::TxQueueDriver::packets_;

  // First cache line, after the base's gate and counter.
  RingIndex next;                // next slot to write
  RingIndex clean;               // oldest slot that has not been cleaned
  std::uint32_t mask = 0;        // slots - 1
  std::uint32_t group_mask = 0;  // slots in a group, less one
  hw::intel::Descriptor* descriptors = nullptr;
  Mbuf** slots = nullptr;
  const std::uint64_t* done = nullptr;  // the descriptor word that reports the oldest group

  // Second cache line.
  alignas(64) TxFastPath fast_path;
  Doorbell tail;
  MempoolCacheCore* sent_cache = nullptr;  // where sent mbufs go; nullptr: to the shared list of their pool
  std::uint32_t group_shift = 0;

  // For each group: the slot that reports it done, and its GroupContent. The slot is the last one of the group, or the
  // last one of a frame that goes on into the next group.
  alignas(64) std::array<std::uint32_t, kMaxGroups> report_slot{};
  std::array<std::uint8_t, kMaxGroups> contents{};

  // The slow path's.
  TxSend* send_slow = nullptr;
  TxSend* send_request = nullptr;
  TxContexts contexts;  // those that the card has
  bool card_inserts_tags = false;
  bool segments_tunnels = false;
  bool has_spares = false;  // every slot has a buffer, in flight or not
};

/// Whether the frame has an offload request.
[[nodiscard]] POLLUX_ALWAYS_INLINE bool has_request(Mbuf* frame) noexcept {
  return (POLLUX_CHECKED == 0 || frame != nullptr) && (MbufAccess::special(*frame) & MbufAccess::kOffload) != 0;
}

[[nodiscard]] POLLUX_ALWAYS_INLINE std::uint32_t free_slots(const TxRing& ring, RingIndex next) noexcept {
  return ring.mask - next.distance_from(ring.clean);
}

/// Points `done` at the descriptor word that reports the oldest group.
POLLUX_ALWAYS_INLINE void watch_oldest(TxRing& ring) noexcept {
  const std::uint32_t group = ring.clean.slot(ring.mask) >> ring.group_shift;
  ring.done = &ring.descriptors[ring.report_slot[group]].hi;
}

/// Writes a descriptor to the slot `next`, with the mbuf that is freed when the card has sent it.
POLLUX_ALWAYS_INLINE void put_descriptor(TxRing& ring, RingIndex& next, const hw::intel::Descriptor& descriptor,
                                         Mbuf* mbuf) noexcept {
  const std::uint32_t slot = next.slot(ring.mask);
  ring.descriptors[slot] = descriptor;
  ring.slots[slot] = mbuf;
  ++next;
}

// tx_slow.cpp

/// Advanced and extended descriptors. `send_slow` sends chains, clones, external buffers and mbufs of other pools, and
/// drops frames that cannot be sent; `send_request` does the same for frames with an offload request.
extern const TxFormat kAdvancedTx;
extern const TxFormat kExtendedTx;
/// An empty burst: reclaims sent buffers. Returns the number of slots that became free if `mbufs` is null, else 0.
std::uint32_t tx_idle(TxRing& ring, Mbuf* const* mbufs) noexcept;
/// Reclaims everything that the card has sent, also from a group that is not full.
std::uint32_t tx_reclaim(TxRing& ring) noexcept;
/// Returns the drop counter of a frame that cannot be sent. Otherwise prepares its offload request
/// (`prepare_request`) and returns nullptr.
std::uint64_t* tx_drop_counter(TxRing& ring, Mbuf& frame, TxCommand& command) noexcept;
/// Frees a frame and counts it in `counter`.
TxOutcome tx_drop(TxRing& ring, Mbuf& frame, std::uint64_t& counter) noexcept;
/// For a frame and its context in the slots from `first` to `end`: marks its groups as mixed. Groups that end inside
/// the frame are reported by its last slot from now on.
void move_reports(TxRing& ring, RingIndex first, RingIndex end) noexcept;
/// Frees the mbufs of `count` slots from `first` on, one by one. The slot of a context has none.
void free_each(TxRing& ring, RingIndex first, std::uint32_t count) noexcept;
/// Frees the mbufs of the oldest group, of `slots` slots, which has more than direct mbufs.
void free_group(TxRing& ring, std::uint32_t slots) noexcept;
/// Marks `group` as not mixed, and reported by its last slot.
void reset_group(TxRing& ring, std::uint32_t group) noexcept;
/// Resets the oldest group. Call it after its buffers have been freed and before `clean` moves on.
void end_group(TxRing& ring) noexcept;

// tx_repeat.cpp, tx_repeat_segments.cpp

/// One burst whose first frame has a request. `rest` sends what follows the frames with requests.
std::uint32_t tx_request_burst(TxRing& ring, Mbuf* const* mbufs, std::uint32_t count, TxBurstLoop* rest) noexcept;
/// Sends the first frame, which has a request, and frames after it that repeat one. Moves `next` past the slots it
/// wrote. Returns the number of frames that it took; 0: no room.
std::uint32_t tx_send_requests(TxRing& ring, Mbuf* const* frames, std::uint32_t count, RingIndex& next) noexcept;
/// Remembers the request of a frame that was queued with `command`, if frames with the same request can be sent
/// without another check.
void remember_request(TxRing& ring, Mbuf& frame, const TxCommand& command) noexcept;
/// Completes `repeat`, for a request for segmentation, if its packets are long enough.
void remember_segments(Mbuf& frame, const TxCommand& command, TxRepeat& repeat) noexcept;

/// The burst functions for mapped and for remote registers, by instruction set. The SIMD ones need a ring of at least
/// four groups, and a processor that has the instructions; they are made for each format.
[[nodiscard]] pollux::TxQueue::BurstFunction* tx_burst_scalar(bool remote, bool small) noexcept;
#if defined(__x86_64__)
[[nodiscard]] pollux::TxQueue::BurstFunction* tx_burst_avx2(bool remote, bool two_lengths) noexcept;
[[nodiscard]] pollux::TxQueue::BurstFunction* tx_burst_avx512(bool remote, bool two_lengths) noexcept;
#elif defined(__aarch64__)
[[nodiscard]] pollux::TxQueue::BurstFunction* tx_burst_neon(bool remote, bool two_lengths) noexcept;
#endif

}  // namespace pollux::drivers::intel
