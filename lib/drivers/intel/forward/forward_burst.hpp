// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <bit>

#include "drivers/intel/forward/forward_hot_path.hpp"
#include "drivers/intel/queue/rx_burst.hpp"
#include "drivers/intel/queue/tx_burst.hpp"

// The fast path from a receive ring to a transmit ring. It exchanges the buffer of the received frame for a sent one,
// and reads no mbuf. It takes frames that are complete in one buffer and have no error; forward_slow.cpp takes others.
namespace pollux::drivers::intel {

/// A run of consecutive slots. Each pointer is the end of its array; the index goes from minus the run's length to -1.
struct ForwardRun {
  hw::intel::Descriptor* rx_descriptors;
  Mbuf** rx_slots;
  hw::intel::Descriptor* tx_descriptors;
  Mbuf** tx_slots;  ///< mbufs that have been sent
  ForwardedFrame* frames;
};

/// The shortest frame's length in both halves of a word, as in ForwardedFrame.
inline constexpr std::uint64_t kMinFrameTwice = std::uint64_t{TxQueue::kMinFrame} << 32 | TxQueue::kMinFrame;

/// Moves a fast-path frame; `flags` are added to the transmit command. Returns false and changes nothing if the frame
/// needs the slow path.
template <bool OneDelta>
POLLUX_ALWAYS_INLINE bool move_fast(const ForwardFastPath& fast_path, hw::intel::Descriptor& rx_descriptor,
                                    std::uint64_t status, Mbuf*& rx_slot, hw::intel::Descriptor& tx_descriptor,
                                    Mbuf*& tx_slot, ForwardedFrame& frame, std::uint64_t flags = 0) noexcept {
  // The comparison of take_fast. The limits also fit what may be sent.
  const std::uint64_t excess = std::rotl((status & fast_path.mask) - fast_path.expected, 32);
  if (excess > fast_path.max_excess) [[unlikely]]
    return false;
  Mbuf* const received = rx_slot;
  Mbuf* const spare = tx_slot;
  rx_slot = spare;
  tx_slot = received;
  const auto iova_of = [&](Mbuf* mbuf) {
    if constexpr (OneDelta) return reinterpret_cast<std::uintptr_t>(mbuf) + fast_path.iova_delta;
    return MbufAccess::iova(*mbuf) + fast_path.data_delta - Mbuf::kHeaderSize;
  };
  rx_descriptor = hw::intel::rx::armed(iova_of(spare));
  tx_descriptor = {iova_of(received), excess * fast_path.per_byte + fast_path.command + flags};
  const auto length = static_cast<std::uint32_t>(excess) + TxQueue::kMinFrame;
  frame = {reinterpret_cast<std::uint8_t*>(received) + fast_path.data_delta, length, length};
  return true;
}

/// Moves the run's frame `i`. Returns false if it has not arrived or needs the slow path.
template <bool OneDelta>
POLLUX_ALWAYS_INLINE bool move_next(const ForwardFastPath& fast_path, const ForwardRun& run, std::intptr_t i) noexcept {
  const std::uint64_t status = io::load_acquire(run.rx_descriptors[i].hi);
  if (!move_fast<OneDelta>(fast_path, run.rx_descriptors[i], status, run.rx_slots[i], run.tx_descriptors[i],
                           run.tx_slots[i], run.frames[i])) {
    return false;
  }
  prefetch_frame(run.rx_slots[i + RxHotPath::kPrefetchDistance]);
  return true;
}

/// The reference loop, one frame at a time. The SIMD loops do the same with several frames at once.
template <bool OneDelta>
struct ScalarForwardLoop {
  /// Moves fast-path frames from index `i` on. Returns the index of the first that it could not move, or 0 at the end.
  static POLLUX_ALWAYS_INLINE std::intptr_t move(const ForwardFastPath& fast_path, const ForwardRun& run,
                                                 std::intptr_t i) noexcept {
    do {
      if (!move_next<OneDelta>(fast_path, run, i)) break;
    } while (++i != 0);
    return i;
  }
};

// Cleans done groups until `wanted` slots are free or none is done. Returns the number of free slots.
template <bool Small>
POLLUX_ALWAYS_INLINE std::uint32_t ForwardHotPath::make_room(TxInternals tx, std::uint32_t wanted) noexcept {
  std::uint32_t room = TxHotPath::free_slots(tx, tx.next());
  while (room < wanted && TxHotPath::oldest_done<Small>(tx)) {
    const std::uint32_t slots = TxHotPath::group_mask<Small>(tx) + 1 - (tx.clean().value() & tx.group_mask());
    if (tx.mixed(tx.clean().slot(tx.mask()))) [[unlikely]]
      TxHotPath::end_group(tx);
    tx.clean() += slots;
    TxHotPath::watch_oldest(tx);
    room += slots;
  }
  return room;
}

template <class Loop, bool Remote, bool Small>
POLLUX_ALWAYS_INLINE std::uint32_t ForwardHotPath::burst_loop(ForwardQueue& path, ForwardedFrame* frames,
                                                              std::uint32_t limit) noexcept {
  const RxInternals rx(*path.rx_);
  const TxInternals tx(*path.tx_);
  std::uint32_t moved = 0;
  std::uint32_t fast = 0;
  while (moved < limit) {
    const std::uint32_t slot = rx.next();
    const std::uint32_t tx_slot = tx.next().slot(tx.mask());
    const std::uint32_t to_group_end = TxHotPath::group_mask<Small>(tx) + 1 - (tx_slot & tx.group_mask());
    const std::uint32_t run =
        std::min({limit - moved, make_room<Small>(tx, limit - moved), to_group_end, rx.mask() + 1 - slot});
    // Without room, take nothing from the receive ring. This includes slow-path frames, which may need fresh buffers.
    if (run == 0) [[unlikely]]
      break;
    const std::intptr_t i = Loop::move(path.fast_path_,
                                       {.rx_descriptors = rx.ring() + slot + run,
                                        .rx_slots = rx.slots() + slot + run,
                                        .tx_descriptors = tx.ring() + tx_slot + run,
                                        .tx_slots = tx.slots() + tx_slot + run,
                                        .frames = frames + moved + run},
                                       -static_cast<std::intptr_t>(run));
    const std::uint32_t done = run + static_cast<std::uint32_t>(i);
    // Set RS on the last frame of each group and of the burst, as in TxHotPath::burst_loop.
    if (done != 0) [[likely]] {
      tx.ring()[tx_slot + done - 1].hi |= hw::intel::tx::kReportStatus;
      tx.next() += done;
      RxHotPath::advance<Remote>(rx, slot, done);
      moved += done;
      fast += done;
    }
    if (i == 0) continue;
    if (path.waiting_ == nullptr && !hw::intel::rx::done(io::load_acquire(rx.ring()[rx.next()].hi))) break;
    if (!slow(path, frames[moved])) break;
    ++moved;
  }
  RxHotPath::count_packets(rx, fast);
  add_to(tx.packets(), fast);
  path.tail_ = tx.next().slot(tx.mask());
  return moved;
}

// Exactly one frame has arrived: no loop and no copied constants.
template <bool Remote, bool OneDelta>
POLLUX_ALWAYS_INLINE bool ForwardHotPath::burst_one(ForwardQueue& path, RxInternals rx, ForwardedFrame& frame,
                                                    std::uint32_t slot, hw::intel::Descriptor& descriptor,
                                                    std::uint64_t status) noexcept {
  const TxInternals tx(*path.tx_);
  const RingIndex next = tx.next();
  if (TxHotPath::free_slots(tx, next) == 0) [[unlikely]]
    return false;
  const std::uint32_t tx_slot = next.slot(tx.mask());
  Mbuf** const slot_mbuf = rx.slots() + slot;
  if (!move_fast<OneDelta>(path.fast_path_, descriptor, status, *slot_mbuf, tx.ring()[tx_slot], tx.slots()[tx_slot],
                           frame, hw::intel::tx::kReportStatus)) [[unlikely]] {
    return false;
  }
  prefetch_frame(slot_mbuf[RxHotPath::kPrefetchDistance]);
  RxHotPath::count_packets(rx, 1);
  add_to(tx.packets(), 1);
  tx.next() = next + 1;
  path.tail_ = (next + 1).slot(tx.mask());
  const std::uint32_t after = slot + 1;
  publish(rx.next(), after & rx.mask());
  if ((after & rx.group_mask()) == 0) RxHotPath::ring_tail<Remote>(rx, slot);
  return true;
}

template <auto BurstLoop, bool Remote, bool Small, bool OneDelta>
POLLUX_ALWAYS_INLINE std::uint32_t ForwardHotPath::burst(ForwardPath& base, ForwardedFrame* frames,
                                                         std::uint32_t limit) noexcept {
  ForwardQueue& path = static_cast<ForwardQueue&>(base);
  const RxInternals rx(*path.rx_);
  const std::uint32_t slot = rx.next();
  hw::intel::Descriptor& descriptor = rx.ring()[slot];
  const std::uint64_t status = io::load_acquire(descriptor.hi);
  if (!hw::intel::rx::done(status)) {
    if constexpr (Remote) rx.tail().flush();
    if (path.waiting_ == nullptr) return 0;
  } else if (limit == 1 || !hw::intel::rx::done(io::load_acquire(rx.ring()[(slot + 1) & rx.mask()].hi))) {
    if (burst_one<Remote, OneDelta>(path, rx, *frames, slot, descriptor, status)) return 1;
  }
  return BurstLoop(path, frames, limit);
}

}  // namespace pollux::drivers::intel
