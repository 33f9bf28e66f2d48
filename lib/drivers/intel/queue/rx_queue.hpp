// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "drivers/intel/queue/queue_borrower.hpp"
#include "drivers/intel/queue/rx_ring.hpp"
#include "mem/mempool_core.hpp"
#include "net/queue_event.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/net/burst_mode.hpp"
#include "pollux/net/drops.hpp"

namespace pollux::drivers::intel {

class InterruptVector;

/// The buffers of a receive ring, by slot: those of frames or payloads, and those of headers if frames are split. Each
/// vector has an element for each descriptor, `frames` has kPrefetchDistance more.
struct RxSlots {
  std::vector<Mbuf*> frames = {};
  std::vector<Mbuf*> headers = {};
};

/// The parameters of a receive queue.
struct IntelRxQueueSetup {
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
  bool keeps_bad_frames = false;     ///< return frames in which the card reports an error
  bool keeps_fcs = false;            ///< frames end with their frame check sequence
  RxCopying copying = {};
  RxSplitting splitting = {};
};

/// A receive queue of advanced descriptors: the control of a ring.
///
/// Every slot always has a buffer. A received buffer is replaced at once. If the pool is exhausted, the frame is
/// dropped and its buffer armed again. So the ring stays full, and traffic resumes by itself.
class IntelRxQueue final : public RxRing {
 public:
  IntelRxQueue() = default;

  using pollux::RxQueueDriver::bytes;
  using pollux::RxQueueDriver::drops;
  using pollux::RxQueueDriver::notify_change;
  using pollux::RxQueueDriver::packets;
  using pollux::RxQueueDriver::pool;

  /// Control path, in this order. All but `close` need the gate closed.
  void setup(IntelRxQueueSetup setup);
  /// Puts a buffer into every slot and writes all descriptors. On error no_memory (the pool has too few mbufs) it takes
  /// no mbuf.
  [[nodiscard]] Result<void> fill();
  /// The first value of RDT once the queue is enabled: all slots but one are armed.
  [[nodiscard]] std::uint32_t first_tail() const noexcept { return mask; }
  void open() noexcept override;
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit) override;
  /// Frees every buffer and returns their number. Counts received frames that were not polled. Call it only after the
  /// card has ended DMA. The buffers of the first slots are not freed but stored in `kept`, and their headers' buffers
  /// in `kept_headers`. Precondition: both are empty, or the ring is filled and has at least as many of each.
  std::uint32_t drain(DrainReason reason = DrainReason::stopped, std::span<Mbuf*> kept = {},
                      std::span<Mbuf*> kept_headers = {}) noexcept;
  /// As `setup` with new slots and, if these have buffers, as `fill`. Call it on a drained queue.
  void replace(IntelRxQueueSetup setup, RxSlots buffers) noexcept;
  /// Another device has the queue. Needs the gate closed.
  void exchange_registers(const Doorbell& new_tail, const Bar& bar, std::uint32_t rdh) noexcept {
    tail = new_tail;
    registers = bar;
    head_offset = rdh;
  }

  /// The card has stopped the queue, and no write of its tail reaches the card until it gets another one. Needs the
  /// gate closed.
  void ignore_tail() noexcept;

  /// The format of the receive metadata of its frames from now on: one of the write-back's. Needs the gate closed.
  void set_format(RxFormat format) noexcept;

  /// Whether software drops frames of more than `longest_good`. Needs the gate closed.
  void drop_long_frames(bool on) noexcept;

  /// Lends the queue to `borrower`, which moves its frames from now on. Needs the gate closed, and no other borrower.
  void set_borrower(QueueBorrower& borrower) noexcept;
  /// Called by the borrower to return the queue. If the queue is open, its own bursts work again.
  void clear_borrower() noexcept;
  /// Makes the borrower, if there is one, return the queue.
  void detach_borrower() noexcept;
  [[nodiscard]] bool is_borrowed() const noexcept { return borrower_ != nullptr; }
  /// The setting because of which frames have to be polled out of this ring, as "has ..."; nullptr: there is none.
  [[nodiscard]] const char* needs_polling() const noexcept {
    if (copying.max_length != 0) return "has copy_break";
    return splits_frames() ? "has header_pool" : nullptr;
  }
  [[nodiscard]] bool is_observed() const noexcept { return !observers().empty(); }
  [[nodiscard]] bool is_open() const noexcept { return open_; }
  [[nodiscard]] BurstMode burst_mode() const noexcept { return mode_; }
  /// The pool of the headers' mbufs; nullptr if frames are not split.
  [[nodiscard]] const MempoolCore* header_pool() const noexcept {
    return splits_frames() ? &splitting.cache->pool() : nullptr;
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

  /// The slot of the next frame. Any thread may call it.
  [[nodiscard]] std::uint32_t next_slot() const noexcept { return __atomic_load_n(&next, __ATOMIC_ACQUIRE); }
  /// Frames taken out of the ring so far. Includes every frame taken before an earlier read of `next_slot`, and one of
  /// which only some segments have been received. Returns nullopt if a burst is still going on after a bounded wait.
  /// Any thread may call it.
  [[nodiscard]] std::optional<std::uint64_t> taken() const;
  [[nodiscard]] std::uint32_t slot_mask() const noexcept { return mask; }

 private:
  void apply(IntelRxQueueSetup setup) noexcept;
  void use(RxSlots buffers) noexcept;
  void arm_all() noexcept;
  void open_gate() noexcept;
  [[nodiscard]] BurstFunction* burst_function() const noexcept;
  [[nodiscard]] bool is_idle() const;
  [[nodiscard]] bool watch() noexcept override;
  void unwatch() noexcept override;
  [[nodiscard]] bool watch_closed() noexcept override;
  [[nodiscard]] bool has_frame() const noexcept;

  BurstMode mode_ = BurstMode::best;
  bool open_ = false;
  RxFormat format_ = RxFormat::intel_advanced;
  mutable std::mutex borrower_lock_;  // for threads that read counters; only the control thread changes borrower_
  QueueBorrower* borrower_ = nullptr;
  alignas(std::uint32_t) std::uint8_t ignored_tail_[sizeof(std::uint32_t)] = {};  // see ignore_tail
  std::vector<Mbuf*> slot_memory_;
  unsigned number_ = 0;
  std::uint64_t packets_when_armed_ = 0;
  InterruptVector* vector_ = nullptr;
};

}  // namespace pollux::drivers::intel
