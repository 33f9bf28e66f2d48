// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "mem/dma_region.hpp"
#include "pollux/net/queue_driver.hpp"
#include "ports/xdp/borrowed_mbufs.hpp"
#include "ports/xdp/interface.hpp"
#include "ports/xdp/rings.hpp"
#include "ports/xdp/taken_memory.hpp"
#include "ports/xdp/umem.hpp"

namespace pollux::xdp {

// No cache: they belong to the threads that poll.
[[nodiscard]] inline std::uint32_t free_all(BorrowedMbufs& borrowed) noexcept {
  std::uint32_t freed = 0;
  borrowed.remove_all([&freed](Mbuf& mbuf) {
    MbufDeleter{}(&mbuf);
    ++freed;
  });
  return freed;
}

/// Moves what has been borrowed to `kept`, if that are mbufs of this program.
inline void keep_all(BorrowedMbufs& borrowed, bool is_own, std::vector<Mbuf*>& kept) {
  if (is_own) borrowed.remove_all([&kept](Mbuf& mbuf) { kept.push_back(&mbuf); });
  borrowed = {};
}

struct RxModes {
  bool busy = false;   ///< an empty burst runs the queue in the kernel (KernelSide::make_socket)
  bool hints = false;  ///< there is a HintRecord in front of each frame
};

/// Receives the frames of a socket in the mbufs into which the kernel has written them. For each frame the queue passes
/// another mbuf to the kernel. Without one, the frame is dropped and its mbuf passed again, so the kernel always has as
/// many.
class XdpRxQueue final : public RxQueueDriver {
 public:
  XdpRxQueue(const RxFilter& filter, DeletionNotifier& deletion);

  using RxQueueDriver::arrivals;
  using RxQueueDriver::drops;
  void open() noexcept override;
  using RxQueueDriver::retire;
  using RxQueueDriver::set_up;
  /// Control path, with the gate closed. Passes `mbufs`, empty ones of the queue's pool, to the kernel: those of them
  /// that it cannot take are freed, and removed. May be called again, with another socket, if this one was not bound.
  void attach(const Rings& rings, int socket, const Umem& area, std::vector<Mbuf*>& mbufs, const RxModes& modes);
  /// As `attach`, for a queue that another program has posted `posted` buffers in `memory` to: frames are copied out of
  /// them, and the kernel gets the same ones again.
  void take(const Rings& rings, int socket, std::shared_ptr<const TakenMemory> memory, std::uint32_t posted,
            const RxModes& modes);
  /// Another program has what the kernel has: moves the mbufs among it to `kept`.
  void leave(std::vector<Mbuf*>& kept) { keep_all(borrowed_, taken_ == nullptr, kept); }
  /// Passes more mbufs of the pool to the kernel.
  void add(std::span<Mbuf* const> mbufs) noexcept;
  /// The mbufs that the kernel has, or frames in them.
  [[nodiscard]] std::uint32_t posted() const noexcept { return posted_; }
  /// Counts the frames that wait as dropped.
  void drop_waiting() noexcept;
  /// Forgets the socket, which is closed or will be. The mbufs that the kernel had are freed; returns their number.
  std::uint32_t detach() noexcept;
  [[nodiscard]] const std::shared_ptr<QueueEvent>& sleeper() const noexcept { return event(); }

 private:
  static std::uint32_t burst(RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  static std::uint32_t burst_copied(RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  /// Receives a copy of a frame, or a part of one. Returns the frame that it completes, if that is received.
  [[nodiscard]] Mbuf* receive_copy(const xdp_desc& piece) noexcept;
  [[nodiscard]] MbufPtr copy_piece(const std::byte* data, std::uint32_t bytes) noexcept;
  struct Wanted;
  template <class Filter>
  [[nodiscard]] bool take_plain(const BorrowedPlaces& places, const std::uint64_t& data, const Filter& filter,
                                const xdp_desc& frame, Mbuf*& out, std::uint64_t& bytes) noexcept;
  static void post_at(const BorrowedPlaces& places, Mbuf& mbuf, std::uint64_t& slot) noexcept;
  /// Receives the only frame that waits, if it is plain: in one buffer, where an empty mbuf's data begins, and Wanted.
  [[nodiscard]] bool receive_one(Mbuf*& out) noexcept;
  /// A burst of at most `limit` frames of those that are known to wait, dropped ones included.
  [[nodiscard]] std::uint32_t receive(Mbuf** out, std::uint32_t limit) noexcept;
  [[nodiscard]] std::uint32_t receive_run(Mbuf** out, std::uint32_t limit) noexcept;
  /// Receives `count` frames of any kind, dropped ones included. Returns the number of the others.
  [[nodiscard]] std::uint32_t receive_rest(Mbuf** out, std::uint32_t count) noexcept;
  /// Receives a frame, or a part of one, that need not be plain. As receive_slow.
  [[nodiscard]] Mbuf* receive_other(const xdp_desc& piece, Mbuf*& replacement) noexcept;
  [[nodiscard]] bool watch() noexcept override;
  [[nodiscard]] bool watch_closed() noexcept override;
  /// Handles a piece of a frame over several buffers, or a frame for whose buffer there is no `replacement`. Returns
  /// the frame that it completes, if that is received. Sets `replacement` to null if it was used.
  [[nodiscard]] Mbuf* receive_slow(const xdp_desc& piece, Mbuf& mbuf, Mbuf*& replacement) noexcept;
  void set_received(Mbuf& mbuf, const xdp_desc& frame) const noexcept;
  static void attach_hints(Mbuf& mbuf) noexcept;
  void post(Mbuf& mbuf) noexcept;
  void wake_kernel() const noexcept;
  /// Whether the chunk of a small mbuf begins in front of the area. There are a few such mbufs at most.
  [[nodiscard]] bool is_outside(const Mbuf* mbuf) const noexcept {
    return reinterpret_cast<const std::byte*>(mbuf) < borrowed_.area;
  }
  /// Removes mbufs for which that is true from the first `count` of the cache, and keeps them.
  void set_aside(MempoolCacheCore& cache, std::uint32_t count) noexcept;

  FrameRing rx_;
  AddressRing fill_;
  BorrowedMbufs borrowed_;
  /// How most frames come: where an empty mbuf's data begins.
  struct Plain {
    std::uint64_t offset = 0;  // of the frame in its chunk, in the upper 16 bits
    std::uint64_t data = 0;    // bytes from the mbuf to the frame
    std::uint64_t word = 0;    // MbufAccess::word of an empty mbuf
  };
  Plain plain_;
  int socket_ = -1;
  RxModes modes_;
  std::uint32_t posted_ = 0;
  bool may_be_plain_ = true;    // chunks begin at their mbufs, there are no hints, and no frame has arrived in part
  bool is_small_ = false;       // chunks begin in front of their mbufs
  std::vector<Mbuf*> outside_;  // never grows while frames are received
  /// A frame whose pieces arrive.
  struct Chain {
    MbufPtr frame;
    RxDrop why = nullptr;  // set: the frame is dropped
    std::uint32_t bytes = 0;
    std::array<std::uint8_t, 6> destination{};
  };
  Chain chain_;  // bytes is 0 between frames
  DeletionNotifier& deletion_;
  bool wakes_by_socket_ = false;
  std::uint64_t packets_before_ = 0;  // at the last `watch`
  std::shared_ptr<const TakenMemory> taken_;
};

/// Sends frames from the mbufs in which they are. Frames that the kernel cannot reach, clones and external memory, are
/// copied to mbufs of the port's pool first.
class XdpTxQueue final : public TxQueueDriver {
 public:
  XdpTxQueue() : TxQueueDriver(&burst) {}

  using TxQueueDriver::retire;
  using TxQueueDriver::sent;
  using TxQueueDriver::set_up;
  /// Control path, with the gate closed. `copies`: a pool in the area, for copies.
  void attach(const Rings& rings, int socket, bool zero_copy, std::shared_ptr<const Umem> area,
              std::optional<Mempool> copies, std::uint32_t max_segments);
  /// As `attach`, for a queue of another program: frames are copied to buffers that it has given, in `memory`. Returns
  /// false if one of these is not in it. `marks`: KeptMemory::marks, or null.
  [[nodiscard]] bool take(const Rings& rings, int socket, std::shared_ptr<const TakenMemory> memory,
                          const handover::QueueRecord& queue, std::uint32_t max_segments, std::uint8_t* marks);
  /// What a successor gets, besides the buffers of receive queues. `fresh`: mbufs for it, where this queue has no such
  /// buffers itself.
  [[nodiscard]] handover::QueueRecord freeze(std::span<Mbuf* const> fresh);
  /// Frees what the kernel has sent, whatever the queue's buffers are.
  std::uint32_t reclaim_any() noexcept { return taken_ != nullptr ? reclaim_copies() : reclaim(); }
  /// As that of XdpRxQueue.
  void leave(std::vector<Mbuf*>& kept) { keep_all(borrowed_, taken_ == nullptr, kept); }
  [[nodiscard]] bool is_taken() const noexcept { return taken_ != nullptr; }
  /// Control path, with the gate closed, after `attach`. `on`: a call that should send may poll another queue than this
  /// one, so a burst also wakes the driver.
  void wake_driver(bool on) noexcept { wakes_driver_ = on; }
  void open() noexcept override;
  /// The most descriptors in flight. Control path.
  void set_ring(std::uint32_t slots) noexcept { limit_ = slots; }
  /// Waits a moment for the kernel to send what it has.
  void finish() noexcept;
  /// Counts the frames that the kernel has not sent as dropped.
  void count_unsent_frames() noexcept;
  /// The socket is about to be closed, and its rings with it.
  void forget_rings() noexcept { tx_ = {}; }
  /// As that of XdpRxQueue.
  std::uint32_t detach() noexcept;
  [[nodiscard]] std::uint32_t in_flight() const noexcept override { return read_counter(in_flight_); }
  [[nodiscard]] bool has_unsent(const TxSent& counted) const noexcept override;
  /// Frames that were copied. Any thread.
  [[nodiscard]] std::uint64_t copied() const noexcept { return read_counter(copied_); }
  /// Calls of the kernel that have sent nothing, because the interface does not send. Any thread.
  [[nodiscard]] std::uint64_t refused() const noexcept { return read_counter(refused_); }

 private:
  static std::uint32_t burst(TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  static std::uint32_t burst_copied(TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  std::uint32_t reclaim_copies() noexcept;
  void mark(std::uint64_t address, std::uint8_t value) const noexcept;
  /// Takes a frame. False: there is no room for it now.
  [[nodiscard]] bool send_copy(Mbuf* frame) noexcept;
  static std::uint32_t burst_and_wake(TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  void cache_changed() noexcept override;
  /// Frees what the kernel has sent. Plain mbufs go to the cache without a look at them. Returns their number.
  std::uint32_t reclaim() noexcept;
  /// Frees the only mbuf that the kernel returns, if it is plain.
  [[nodiscard]] bool reclaim_one() noexcept;
  [[nodiscard]] std::uint32_t reclaim_run(std::uint32_t limit) noexcept;
  [[nodiscard]] std::uint32_t reclaim_rest(std::uint32_t count) noexcept;
  void put(const Mbuf& mbuf, std::uint32_t options) noexcept;
  [[nodiscard]] bool is_plain(const Mbuf& mbuf) const noexcept;
  [[nodiscard]] static std::uint64_t put_plain(std::uintptr_t base, std::uintptr_t marks, const Mbuf& mbuf,
                                               xdp_desc& slot) noexcept;
  /// A burst of one frame, if it is plain, there is room, and the kernel returns no more than one.
  [[nodiscard]] bool send_one(const Mbuf& mbuf) noexcept;
  /// Any burst.
  [[nodiscard]] std::uint32_t send(Mbuf* const* mbufs, std::uint32_t count) noexcept;
  /// Takes frames until the ring is full. Returns their number.
  [[nodiscard]] std::uint32_t put(Mbuf* const* mbufs, std::uint32_t count) noexcept;
  [[nodiscard]] std::uint32_t put_run(Mbuf* const* mbufs, std::uint32_t limit) noexcept;
  [[nodiscard]] std::uint32_t put_rest(Mbuf* const* mbufs, std::uint32_t count) noexcept;
  /// Takes a frame that needs more than a descriptor. False: there is no room for it now.
  [[nodiscard]] bool send_slow(Mbuf* frame) noexcept;
  [[nodiscard]] bool is_reachable(const Mbuf& frame) const noexcept;
  /// Without copies the kernel takes frames in huge pages only: others may cross a page.
  [[nodiscard]] bool may_be_in(const MempoolCore& pool) const noexcept {
    return !zero_copy_ || pool.page_size() > ordinary_page_size();
  }
  [[nodiscard]] MbufPtr copy(const Mbuf& frame) noexcept;
  void put_frame(Mbuf& frame) noexcept;
  /// Makes the kernel send what is in the ring.
  void kick() noexcept;
  /// The same if there is something in it. Returns 1.
  std::uint32_t kick_one() noexcept;
  /// Calls the kernel. Returns whether another call may send more.
  [[nodiscard]] bool kick_once() noexcept;
  /// Whether a call that failed with `error` has sent something.
  [[nodiscard]] bool has_sent(int error) noexcept;
  void count_lost(std::uint32_t end, TxDrop why) noexcept;

  FrameRing tx_;
  AddressRing completion_;
  BorrowedMbufs borrowed_;
  /// For frames that need no look: see put_plain.
  struct Plain {
    std::uintptr_t base = 0;
    std::uintptr_t marks = 0;
  };
  Plain plain_;
  std::uint32_t in_flight_ = 0;
  std::uint32_t limit_ = 0;
  std::uint32_t direct_ = 0;      // as `shortest`, if the kernel reaches the cache's pool
  std::uint32_t max_excess_ = 0;  // longest frame less the shortest, in bytes
  int socket_ = -1;
  std::uint32_t kicked_ = 0;  // the kernel's position before its last call
  std::uint32_t max_segments_ = 1;
  bool zero_copy_ = false;
  bool wakes_driver_ = false;
  std::shared_ptr<const Umem> area_;
  std::optional<MempoolCache> copies_;
  std::uint64_t copied_ = 0;
  std::uint64_t refused_ = 0;
  std::shared_ptr<const TakenMemory> taken_;
  std::vector<std::uint64_t> free_;  // buffers in it; never grows beyond its capacity
  std::uint8_t* marks_ = nullptr;    // what a successor needs after a crash
};

}  // namespace pollux::xdp
