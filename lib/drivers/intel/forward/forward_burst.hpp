// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <bit>
#include <utility>

#include "drivers/intel/forward/forward_queue.hpp"
#include "drivers/intel/queue/rx_burst.hpp"
#include "drivers/intel/queue/simd_loop.hpp"
#include "drivers/intel/queue/tx_burst.hpp"

// The fast path from a receive ring to a transmit ring. It exchanges the buffer of the received frame for a sent one,
// and reads no mbuf. It takes frames that are complete in one buffer and have no error; forward_queue.cpp takes others.
namespace pollux::drivers::intel {

/// A run of consecutive slots. Each pointer is the end of its array; the index goes from minus the run's length to -1.
struct ForwardRun {
  hw::intel::Descriptor* rx_descriptors;
  Mbuf** rx_slots;
  hw::intel::Descriptor* tx_descriptors;
  Mbuf** tx_slots;  ///< mbufs that have been sent
  ForwardedFrame* frames;
};

/// The bytes of a frame beyond the shortest; more than `max_excess` if it has not arrived or needs the slow path. This
/// is the comparison of take_fast. The limits also fit what may be sent.
POLLUX_ALWAYS_INLINE std::uint64_t excess_of(const ForwardFastPath& fast_path, std::uint64_t status) noexcept {
  return std::rotl((status & fast_path.mask) - fast_path.expected, 32);
}

/// The IOVA of the frame in an mbuf of the receive queue's pool.
template <bool OneDelta>
POLLUX_ALWAYS_INLINE std::uint64_t frame_iova(const ForwardFastPath& fast_path, Mbuf* mbuf) noexcept {
  if constexpr (OneDelta) return reinterpret_cast<std::uintptr_t>(mbuf) + fast_path.iova_delta;
  return MbufAccess::iova(*mbuf) + fast_path.data_delta - Mbuf::kHeaderSize;
}

/// Moves the run's frame `i`. Returns false if it has not arrived or needs the slow path.
template <bool OneDelta>
POLLUX_ALWAYS_INLINE bool move_next(const ForwardFastPath& fast_path, const ForwardRun& run, std::intptr_t i) noexcept {
  const std::uint64_t status = io::load_acquire(run.rx_descriptors[i].hi);
  const std::uint64_t excess = excess_of(fast_path, status);
  if (excess > fast_path.max_excess) [[unlikely]]
    return false;
  Mbuf* const received = run.rx_slots[i];
  Mbuf* const spare = run.tx_slots[i];
  run.rx_slots[i] = spare;
  run.tx_slots[i] = received;
  run.rx_descriptors[i] = hw::intel::rx::armed(frame_iova<OneDelta>(fast_path, spare));
  run.tx_descriptors[i] = {frame_iova<OneDelta>(fast_path, received), excess * fast_path.per_byte + fast_path.command};
  const auto length = static_cast<std::uint32_t>(excess) + TxRing::kMinFrame;
  run.frames[i] = {reinterpret_cast<std::uint8_t*>(received) + fast_path.data_delta, length, length};
  prefetch_frame(run.rx_slots[i + RxRing::kPrefetchDistance]);
  return true;
}

/// The step of the reference loop: there is none, so simd_loop moves one frame at a time.
struct NoForwardStep {
  static constexpr bool kAligned = false;
  static constexpr bool kEnabled = false;
};

// If fewer than `wanted` slots are free, cleans done groups until there are some more than that, or none is done. Then
// bursts of one need no cleaning for a while. Returns the number of free slots.
template <bool Small>
POLLUX_ALWAYS_INLINE std::uint32_t make_room(TxRing& tx, std::uint32_t wanted) noexcept {
  constexpr std::uint32_t kCleanAhead = 4 * TxRing::kGroup;
  std::uint32_t room = free_slots(tx, tx.next);
  if (room >= wanted) [[likely]]
    return room;
  while (room < wanted + kCleanAhead && oldest_done<Small>(tx)) {
    const std::uint32_t slots = group_mask_of<Small>(tx) + 1 - (tx.clean.value() & tx.group_mask);
    if (tx.contents[tx.clean.slot(tx.mask) >> tx.group_shift] != TxRing::kDirect) [[unlikely]]
      end_group(tx);
    tx.clean += slots;
    watch_oldest(tx);
    room += slots;
  }
  return room;
}

/// Moves each run of fast-path frames in steps of `Step`, and the frames between them on the slow path. `Usual`: the
/// pool has one segment, and the transmit ring at least four groups.
template <class Step, bool Remote, bool Usual>
POLLUX_ALWAYS_INLINE std::uint32_t forward_burst_loop(ForwardQueue& path, ForwardedFrame* frames,
                                                      std::uint32_t limit) noexcept {
  RxRing& rx = *path.rx;
  TxRing& tx = *path.tx;
  limit = std::min(limit, ForwardPath::kMaxBurst);
  std::uint32_t moved = 0;
  std::uint32_t fast = 0;
  while (moved < limit) {
    const std::uint32_t slot = rx.next;
    const std::uint32_t tx_slot = tx.next.slot(tx.mask);
    const std::uint32_t to_group_end = group_mask_of<!Usual>(tx) + 1 - (tx_slot & tx.group_mask);
    const std::uint32_t run =
        std::min({limit - moved, make_room<!Usual>(tx, limit - moved), to_group_end, rx.mask + 1 - slot});
    // Without room, take nothing from the receive ring. This includes slow-path frames, which may need fresh buffers.
    if (run == 0) [[unlikely]]
      break;
    const ForwardRun part{.rx_descriptors = rx.descriptors + slot + run,
                          .rx_slots = rx.slots + slot + run,
                          .tx_descriptors = tx.descriptors + tx_slot + run,
                          .tx_slots = tx.slots + tx_slot + run,
                          .frames = frames + moved + run};
    const std::intptr_t i =
        simd_loop<Step, move_next<Usual>>(path.fast_path, part, part.rx_descriptors, -static_cast<std::intptr_t>(run));
    const std::uint32_t done = run + static_cast<std::uint32_t>(i);
    // Set RS on the last frame of each group and of the burst, as tx_burst_loop does.
    if (done != 0) [[likely]] {
      tx.descriptors[tx_slot + done - 1].hi |= hw::intel::tx::kReportStatus;
      tx.next += done;
      advance<Remote>(rx, slot, done);
      moved += done;
      fast += done;
    }
    if (i == 0) continue;
    if (path.waiting == nullptr && !hw::intel::rx::done(io::load_acquire(rx.descriptors[rx.next].hi))) break;
    if (!forward_slow(path, frames[moved])) break;
    ++moved;
  }
  count_packets(rx, fast);
  add_to(tx.packets_, fast);
  path.tail_ = tx.next.slot(tx.mask);
  path.one_by_one_end = path.tail_ + std::min({free_slots(tx, tx.next), tx.mask - path.tail_, rx.mask - rx.next});
  return moved;
}

// Exactly one frame has arrived: no loop, no copied constants, and neither ring ends here (`one_by_one_end`). The
// statements are in an order that needs few registers, since each that the function saves costs two instructions.
template <bool Remote, bool OneDelta>
POLLUX_ALWAYS_INLINE bool forward_burst_one(ForwardQueue& path, RxRing& rx, ForwardedFrame& frame, std::size_t slot,
                                            hw::intel::Descriptor& descriptor, std::uint64_t status) noexcept {
  const ForwardFastPath& fast_path = path.fast_path;
  const std::uint64_t excess = excess_of(fast_path, status);
  if (excess > fast_path.max_excess || path.tail_ == path.one_by_one_end) [[unlikely]]
    return false;
  TxRing& tx = *path.tx;
  hw::intel::Descriptor& sent = tx.descriptors[path.tail_];
  const auto length = static_cast<std::uint32_t>(excess) + TxRing::kMinFrame;
  frame.length = length;
  forget_memory();  // otherwise three instructions store both lengths at once
  frame.packet_length = length;
  sent.hi = excess * fast_path.per_byte + fast_path.last_command;
  Mbuf** const rx_slot = rx.slots + slot;
  prefetch_frame(rx_slot[RxRing::kPrefetchDistance]);
  Mbuf* const received = *rx_slot;
  sent.lo = frame_iova<OneDelta>(fast_path, received);
  frame.data = reinterpret_cast<std::uint8_t*>(received) + fast_path.data_delta;
  forget_memory();
  Mbuf* const spare = std::exchange(tx.slots[path.tail_], received);
  *rx_slot = spare;
  descriptor = hw::intel::rx::armed(frame_iova<OneDelta>(fast_path, spare));
  count_packets(rx, 1);
  add_to(tx.packets_, 1);
  ++tx.next;
  ++path.tail_;
  const std::uint32_t after = rx.next + 1;
  publish(rx.next, after);
  if ((after & rx.group_mask) == 0) ring_doorbell<Remote>(rx, after - 1);
  return true;
}

/// One burst. `BurstLoop` moves whatever is not a single frame. Inline, since GCC then needs fewer registers.
template <auto BurstLoop, bool Remote, bool Usual>
[[gnu::hot, gnu::aligned(64)]] POLLUX_ALWAYS_INLINE std::uint32_t forward_burst(ForwardPath& base,
                                                                                ForwardedFrame* frames,
                                                                                std::uint32_t limit) noexcept {
  ForwardQueue& path = static_cast<ForwardQueue&>(base);
  RxRing& rx = *path.rx;
  const std::size_t slot = rx.next;
  hw::intel::Descriptor& descriptor = rx.descriptors[slot];
  const std::uint64_t status = io::load_acquire(descriptor.hi);
  if (!hw::intel::rx::done(status)) {
    if constexpr (Remote) rx.tail.flush();
    if (path.waiting == nullptr) return 0;
  } else if (limit == 1 ||
             (limit != 0 && !hw::intel::rx::done(io::load_acquire(rx.descriptors[(slot + 1) & rx.mask].hi)))) {
    if (forward_burst_one<Remote, Usual>(path, rx, *frames, slot, descriptor, status)) return 1;
  }
  return BurstLoop(path, frames, limit);
}

}  // namespace pollux::drivers::intel
