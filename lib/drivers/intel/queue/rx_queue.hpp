// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "drivers/intel/queue/queue_borrower.hpp"
#include "hw/intel/descriptors.hpp"
#include "mem/mempool_core.hpp"
#include "net/queue_event.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/net/burst_mode.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/rx_queue.hpp"

namespace pollux::drivers::intel {

class InterruptVector;

/// Which frames a receive queue copies (RxQueueConfig::copy_break).
struct RxCopying {
  std::uint32_t max_length = 0;                       ///< bytes; 0: none
  std::shared_ptr<MempoolCacheCore> cache = nullptr;  ///< of the copies' mbufs; null: the queue's
};

/// Into which mbufs the card puts the headers of frames (RxQueueConfig::header_pool).
struct RxSplitting {
  std::shared_ptr<MempoolCacheCore> cache = nullptr;  ///< of the headers' mbufs; null: frames are not split
  std::uint32_t header_bytes = 0;                     ///< that the card may write into one, SRRCTL.BSIZEHEADER
  bool replicates = false;  ///< the headers are copies: the card also leaves them in the frame
};

/// The buffers of a receive ring, by slot: those of frames or payloads, and those of headers if frames are split. Each
/// vector has an element for each descriptor, `frames` has kPrefetchDistance more.
struct RxSlots {
  std::vector<Mbuf*> frames = {};
  std::vector<Mbuf*> headers = {};
};

/// The parameters of a receive queue.
struct RxQueueSetup {
  hw::intel::Descriptor* ring = nullptr;  ///< DMA memory, 128-byte aligned, `size` descriptors
  std::uint32_t size = 0;                 ///< a power of two, 8 to 4,096
  std::uint32_t buffer_bytes = 0;         ///< bytes that the card may write into one buffer, SRRCTL.BSIZEPACKET
  Doorbell tail;
  Bar registers = {};             ///< for `head_offset`; without it write-backs are not checked against RDH
  std::uint32_t head_offset = 0;  ///< of RDH
  std::shared_ptr<MempoolCore> pool;
  std::shared_ptr<MempoolCacheCore> cache;  ///< of `pool`
  std::uint16_t port = 0;
  BurstMode mode = BurstMode::best;  ///< one that the processor supports
  bool keep_bad_frames = false;      ///< return frames in which the card reports an error
  RxCopying copying = {};
  RxSplitting splitting = {};
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

/// A receive queue of advanced descriptors. rx_burst.hpp has its fast path, rx_slow.cpp its slow path.
///
/// Every slot always has a buffer. A received buffer is replaced at once. If the pool is exhausted, the frame is
/// dropped and its buffer armed again. So the ring stays full, and traffic resumes by itself.
class alignas(64) RxQueue final : public pollux::RxQueue {
 public:
  RxQueue() = default;

  using pollux::RxQueue::bytes;
  using pollux::RxQueue::drops;
  using pollux::RxQueue::notify_change;
  using pollux::RxQueue::packets;
  using pollux::RxQueue::pool;

  /// Control path, in this order. All but `close` need the gate closed.
  void setup(RxQueueSetup setup);
  /// Puts a buffer into every slot and writes all descriptors. On error no_memory (the pool has too few mbufs) it takes
  /// no mbuf.
  [[nodiscard]] Result<void> fill();
  /// The first value of RDT once the queue is enabled: all slots but one are armed.
  [[nodiscard]] std::uint32_t first_tail() const noexcept { return mask_; }
  void open() noexcept override;
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit) override;
  /// Frees every buffer and returns their number. Counts received frames that were not polled. Call it only after the
  /// card has ended DMA. The buffers of the first slots are not freed but stored in `kept`, and their headers' buffers
  /// in `kept_headers`. Precondition: both are empty, or the ring is filled and has at least as many of each.
  std::uint32_t drain(DrainReason reason = DrainReason::stopped, std::span<Mbuf*> kept = {},
                      std::span<Mbuf*> kept_headers = {}) noexcept;
  /// As `setup` with new slots and, if these have buffers, as `fill`. Call it on a drained queue.
  void replace(RxQueueSetup setup, RxSlots slots) noexcept;
  /// Another device has the queue. Needs the gate closed.
  void exchange_registers(const Doorbell& tail, const Bar& registers, std::uint32_t head_offset) noexcept {
    tail_ = tail;
    registers_ = registers;
    head_offset_ = head_offset;
  }

  /// The format of the receive metadata of its frames from now on: one of the write-back's. Needs the gate closed.
  void set_format(RxFormat format) noexcept;

  /// Lends the queue to `borrower`, which moves its frames from now on. Needs the gate closed, and no other borrower.
  void lend(QueueBorrower& borrower) noexcept;
  /// Called by the borrower to return the queue. If the queue is open, its own bursts work again.
  void take_back() noexcept;
  /// Makes the borrower, if there is one, return the queue.
  void end_lending() noexcept;
  [[nodiscard]] bool is_lent() const noexcept { return borrower_ != nullptr; }
  [[nodiscard]] bool copies_frames() const noexcept { return copying_.max_length != 0; }
  /// Whether headers get mbufs of their own, split or copied.
  [[nodiscard]] bool splits_frames() const noexcept { return splitting_.cache != nullptr; }
  [[nodiscard]] bool is_observed() const noexcept { return !observers().empty(); }
  [[nodiscard]] bool is_open() const noexcept { return open_; }
  /// The pool of the headers' mbufs; nullptr if frames are not split.
  [[nodiscard]] const MempoolCore* header_pool() const noexcept {
    return splits_frames() ? &splitting_.cache->pool() : nullptr;
  }

  /// The card has interrupts, so a thread may sleep on this queue. Call it before the queue is used. `number`: of the
  /// queue, 0 to 31.
  void allow_sleeping(unsigned number);
  /// The queue's interrupt vector, and its eventfd, once sleeping is allowed; nullptr and -1 if it has none. Needs the
  /// gate closed.
  void attach_vector(InterruptVector* vector, int source) noexcept;

  [[nodiscard]] std::optional<RxDescriptorStatus> descriptor_status(std::uint32_t offset) const noexcept override;
  /// Frames with an error that were taken out of the ring while bad frames are kept. They are part of `packets` or
  /// `drops`. Any thread may call it.
  [[nodiscard]] std::uint64_t bad_frames() const noexcept;

  /// The slot of the next frame. Any thread may call it. Read it before `taken`.
  [[nodiscard]] std::uint32_t next_slot() const noexcept { return __atomic_load_n(&next_, __ATOMIC_ACQUIRE); }
  /// Frames taken out of the ring so far. Includes every frame taken before an earlier read of `next_slot`, and one of
  /// which only some segments have been received. Returns nullopt if a burst is still going on after a bounded wait.
  /// Any thread may call it.
  [[nodiscard]] std::optional<std::uint64_t> taken() const;
  [[nodiscard]] std::uint32_t slot_mask() const noexcept { return mask_; }

 private:
  friend struct RxHotPath;
  friend class RxInternals;

  /// The state of a frame in several buffers.
  enum class Chain : std::uint8_t { none, growing, discarding };

  void apply(RxQueueSetup setup) noexcept;
  void use(RxSlots slots) noexcept;
  void arm_all() noexcept;
  void open_gate() noexcept;
  [[nodiscard]] BurstFunction* burst_function() const noexcept;
  [[nodiscard]] bool is_idle() const;
  [[nodiscard]] bool watch() noexcept override;
  void unwatch() noexcept override;
  [[nodiscard]] bool watch_closed() noexcept override;
  [[nodiscard]] bool has_frame() const noexcept;

  // First cache line, with the base's gate and cache: all that an empty poll reads.
  std::uint32_t next_ = 0;  // the next slot to poll
  std::uint32_t mask_ = 0;  // slots - 1
  hw::intel::Descriptor* ring_ = nullptr;
  Mbuf** slots_ = nullptr;  // the mbuf of each descriptor, and kPrefetchDistance more to prefetch from

  // Second cache line: what a burst with frames needs.
  alignas(64) RxFastPath fast_path_;
  std::uint32_t group_mask_ = 0;  // slots between two doorbells, less one
  std::uint32_t max_length_ = 0;  // bytes the card may write into a buffer
  Doorbell tail_;

  // Cold.
  alignas(64) Mbuf* chain_head_ = nullptr;
  Mbuf* chain_tail_ = nullptr;
  Chain chain_ = Chain::none;
  Bar registers_;
  std::uint32_t head_offset_ = 0;
  std::uint32_t empty_write_backs_ = 0;  // consecutive polls that found a slot done with length 0
  std::uint64_t packets_at_empty_ = 0;   // packets_ at the last such poll
  BurstMode mode_ = BurstMode::best;
  bool open_ = false;
  bool keeps_bad_frames_ = false;
  std::uint64_t bad_frames_ = 0;
  BurstFunction* uncopied_ = nullptr;  // the burst function whose frames are copied
  RxCopying copying_;
  std::uint64_t copy_word_ = 0;  // MbufAccess::word of an empty copy
  RxSplitting splitting_;
  std::vector<Mbuf*> headers_;     // the mbuf of each descriptor's header, if frames are split
  std::uint64_t header_word_ = 0;  // MbufAccess::word of an empty one
  RxFormat format_ = RxFormat::intel_advanced;
  mutable std::mutex borrower_lock_;  // for threads that read counters; only the control thread changes borrower_
  QueueBorrower* borrower_ = nullptr;
  std::vector<Mbuf*> slot_memory_;
  unsigned number_ = 0;
  std::uint64_t packets_when_armed_ = 0;
  InterruptVector* vector_ = nullptr;
};

}  // namespace pollux::drivers::intel
