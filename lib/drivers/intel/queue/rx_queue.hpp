// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "drivers/intel/queue/queue_borrower.hpp"
#include "hw/intel/descriptors.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/net/burst_mode.hpp"
#include "pollux/net/drain_reason.hpp"
#include "pollux/net/rx_queue.hpp"

namespace pollux::drivers::intel {

/// What the control path knows of a receive queue when it sets it up.
struct RxQueueSetup {
  hw::intel::Descriptor* ring = nullptr;  ///< DMA memory, 128-byte aligned, `size` descriptors
  std::uint32_t size = 0;                 ///< a power of two, 8 to 4,096
  std::uint32_t buffer_bytes = 0;         ///< what SRRCTL.BSIZEPACKET lets the card write into one buffer
  Doorbell tail;
  Bar registers = {};             ///< where `head_offset` is; without it every write-back is taken for the card's word
  std::uint32_t head_offset = 0;  ///< of RDH
  std::shared_ptr<MempoolCore> pool;
  std::shared_ptr<MempoolCacheCore> cache;  ///< of `pool`
  std::uint16_t port = 0;
  BurstMode path = BurstMode::best;  ///< one that the processor has
};

/// What makes a frame plain, and what one becomes: constants of a queue that its hot loop keeps in registers.
struct RxFastPath {
  std::uint64_t mask = 0;           ///< bits of the write-back's high word that decide
  std::uint64_t expected = 0;       ///< those of a plain frame of one byte; differs from all while a chain grows
  std::uint64_t max_excess = 0;     ///< bytes that the card may write into a buffer, less one
  std::uint64_t one_byte_word = 0;  ///< Mbuf's word of a frame of one byte
  std::uint64_t iova_delta = 0;     ///< from an mbuf's address to its frame's IOVA

  /// From an mbuf's buffer to its frame.
  [[nodiscard]] std::uint64_t data_offset() const noexcept {
    return one_byte_word >> MbufAccess::kOffsetShift & 0xFFFF;
  }
};

/// Frames that a receive queue threw away, by reason. Written by the polling thread, read by any.
struct RxDrops {
  std::uint64_t bad_length = 0;  ///< a write-back longer than its buffer, or done without any length for long
  std::uint64_t error = 0;       ///< the card marked the frame bad
  std::uint64_t pool_empty = 0;  ///< no mbuf to put in its place: its buffer went straight back to the card
  std::uint64_t too_many_segments = 0;
  std::uint64_t stopped = 0;  ///< arrived, but the port was stopped before anyone polled
  std::uint64_t removed = 0;  ///< the same where the card was gone or had failed

  [[nodiscard]] std::uint64_t sum() const noexcept {
    return bad_length + error + pool_empty + too_many_segments + stopped + removed;
  }
};

/// The receive half of the hot path; rx_burst.hpp holds the way of plain frames, rx_slow.cpp what is not plain.
///
/// Every slot always has a buffer: a received one is replaced at once, and a frame for which the pool has no
/// replacement is dropped and its buffer armed again. So the ring never runs dry by a dry pool, and traffic resumes by
/// itself.
class alignas(64) RxQueue final : public pollux::RxQueue {
 public:
  RxQueue() = default;

  /// Control path, in this order. All but `close` need the gate closed.
  void setup(RxQueueSetup setup);
  /// Puts a buffer behind every slot and writes all descriptors. Error no_memory, with nothing taken: the pool is too
  /// small.
  [[nodiscard]] Result<void> fill();
  /// What RDT is to be once the queue is enabled: all slots but one armed.
  [[nodiscard]] std::uint32_t first_tail() const noexcept { return mask_; }
  void open() noexcept;
  /// Error timeout: see BurstGate::close.
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit);
  /// Takes every buffer back; returns how many. Only when the card does no DMA any more; counts finished frames that
  /// nobody polled.
  std::uint32_t drain(DrainReason reason = DrainReason::stopped) noexcept;

  /// Leaves the queue's frames to `borrower` from now on. With the gate closed, and lent to nobody else.
  void lend(QueueBorrower& borrower) noexcept;
  /// The borrower is done with the queue: its own bursts work again if it is open.
  void take_back() noexcept;
  /// Has the borrower, if there is one, give the queue back.
  void end_lending() noexcept;
  [[nodiscard]] bool is_lent() const noexcept { return borrower_ != nullptr; }
  [[nodiscard]] bool is_open() const noexcept { return open_; }
  [[nodiscard]] const std::shared_ptr<MempoolCore>& pool() const noexcept { return pool_; }

  [[nodiscard]] Result<void> use_cache(const MempoolCache& cache) override;
  /// Frames handed out. From any thread.
  [[nodiscard]] std::uint64_t packets() const noexcept;
  [[nodiscard]] RxDrops drops() const noexcept;

  /// The slot of which the next frame will be taken, from any thread: to be looked at before `taken`.
  [[nodiscard]] std::uint32_t next_slot() const noexcept { return __atomic_load_n(&next_, __ATOMIC_ACQUIRE); }
  /// Frames taken out of the ring so far, with all that were taken before a look at `next_slot` and a frame of which
  /// only a part has been; nothing if a poller that was inside its burst then may still be. From any thread.
  [[nodiscard]] std::optional<std::uint64_t> taken() const;
  [[nodiscard]] std::uint32_t slot_mask() const noexcept { return mask_; }

 private:
  friend struct RxHotPath;
  friend struct ForwardHotPath;
  friend class ForwardQueue;

  /// How a frame in several buffers stands.
  enum class Chain : std::uint8_t { none, growing, discarding };

  void open_gate() noexcept;
  [[nodiscard]] bool is_idle() const;

  // First line, behind the base's gate: all that an empty poll reads.
  std::uint32_t next_ = 0;  // slot that the card fills next
  std::uint32_t mask_ = 0;  // slots - 1
  hw::intel::Descriptor* ring_ = nullptr;
  Mbuf** slots_ = nullptr;  // the mbuf behind each descriptor, and kPrefetchDistance more to prefetch from
  MempoolCacheCore* cache_ = nullptr;

  // Second line: what a burst with frames needs.
  alignas(64) RxFastPath fast_path_;
  std::uint64_t packets_ = 0;
  std::uint32_t group_mask_ = 0;  // slots - 1 between two doorbells
  std::uint32_t max_length_ = 0;  // bytes the card may write into a buffer
  Doorbell tail_;

  // Cold.
  alignas(64) RxDrops drops_;
  Mbuf* chain_head_ = nullptr;
  Mbuf* chain_tail_ = nullptr;
  Chain chain_ = Chain::none;
  Bar registers_;
  std::uint32_t head_offset_ = 0;
  std::uint32_t empty_write_backs_ = 0;  // polls in a row that found done without length
  std::uint64_t packets_at_empty_ = 0;   // packets_ at the last of them
  BurstMode path_ = BurstMode::best;
  bool open_ = false;
  mutable std::mutex borrower_lock_;  // for those that read counters; the control thread alone changes borrower_
  QueueBorrower* borrower_ = nullptr;
  std::shared_ptr<MempoolCore> pool_;
  std::shared_ptr<MempoolCacheCore> cache_owner_;
  std::vector<Mbuf*> slot_memory_;
};

}  // namespace pollux::drivers::intel
