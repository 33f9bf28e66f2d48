// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "drivers/intel/queue/queue_borrower.hpp"
#include "hw/intel/descriptors.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/base/ring_index.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/net/burst_mode.hpp"
#include "pollux/net/drain_reason.hpp"
#include "pollux/net/tx_queue.hpp"

namespace pollux::drivers::intel {

/// What the control path knows of a transmit queue when it sets it up.
struct TxQueueSetup {
  hw::intel::Descriptor* ring = nullptr;  ///< DMA memory, 128-byte aligned, `size` descriptors
  std::uint32_t size = 0;                 ///< a power of two, 8 to 4,096
  std::uint32_t max_frame = 0;            ///< bytes without FCS
  Doorbell tail;
  std::shared_ptr<MempoolCacheCore> cache;      ///< null: every buffer goes back to its pool's shared list
  std::shared_ptr<const ContextState> context;  ///< whose mbufs may be sent
  BurstMode path = BurstMode::best;             ///< one that the processor has
};

/// What makes a frame plain, and the descriptor of one: constants of a queue that its hot loop keeps in registers.
struct TxFastPath {
  std::uint64_t command = 0;              ///< descriptor of the shortest plain frame, but for its address
  std::uint64_t per_byte = 0;             ///< what one more byte changes in it: the buffer's length and the packet's
  std::uint32_t shortest = 0;             ///< length, pool and `special` of the shortest plain frame, as in Mbuf's word
  std::uint32_t max_excess = 0;           ///< longest plain frame less the shortest
  const ContextState* context = nullptr;  ///< whose frames they must be; looked at in checked builds only
};

/// Frames that a transmit queue took and threw away, by reason. Written by the sending thread, read by any.
struct TxDrops {
  std::uint64_t too_short = 0;
  std::uint64_t too_long = 0;
  std::uint64_t too_many_segments = 0;
  std::uint64_t bad_segment = 0;          ///< an empty segment, or data outside its buffer
  std::uint64_t unreachable = 0;          ///< memory that the card cannot read, or an mbuf of another Context
  std::uint64_t unsupported_offload = 0;  ///< asks for more than OffloadLimits has
  std::uint64_t bad_offload = 0;          ///< asks for what does not fit its bytes
  std::uint64_t shared_checksum = 0;      ///< a checksum would have to be written into bytes that others use, too
  std::uint64_t stopped = 0;              ///< taken, but the port was stopped before the card reported them sent
  std::uint64_t removed = 0;              ///< the same where the card was gone or had failed

  [[nodiscard]] std::uint64_t refused() const noexcept {
    return too_short + too_long + too_many_segments + bad_segment + unreachable + unsupported_offload + bad_offload +
           shared_checksum;
  }
  [[nodiscard]] std::uint64_t sum() const noexcept { return refused() + stopped + removed; }
};

/// The transmit half of the hot path; tx_burst.hpp holds the way of plain frames, tx_slow.cpp what is not plain.
///
/// The ring is cut into groups of slots. The card reports only the last slot of a group, and the last one of a burst,
/// as done; a group that is done goes back at once, and one of plain frames without a look at any mbuf.
class alignas(64) TxQueue final : public pollux::TxQueue {
 public:
  /// The shortest frame, without FCS: the card pads to 60 bytes by itself, but not below 17 (Linux igb pads those:
  /// igb_main.c, igb_xmit_frame).
  static constexpr std::uint32_t kMinFrame = 17;
  /// Mbufs a frame: enough for 9.5 KiB in pieces of 300 bytes.
  static constexpr std::uint32_t kMaxSegments = 32;

  TxQueue() = default;

  /// Control path, in this order. All but `close` need the gate closed.
  void setup(TxQueueSetup setup);
  /// Empties the ring; TDT and TDH are 0 from then on.
  void clear() noexcept;
  void open() noexcept;
  /// Error timeout: see BurstGate::close.
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit);
  /// Takes back what the card is done with; returns the slots that are still out. With the gate closed.
  [[nodiscard]] std::uint32_t settle() noexcept;
  /// Takes every buffer back; returns how many. Only when the card does no DMA any more; counts frames it had not
  /// finished.
  std::uint32_t drain(DrainReason reason = DrainReason::stopped) noexcept;

  /// As RxQueue's. The borrower exchanges the frames of a receive queue for buffers of their `pool`.
  void lend(QueueBorrower& borrower, std::shared_ptr<MempoolCore> pool) noexcept;
  void take_back() noexcept;
  void end_lending() noexcept;
  [[nodiscard]] bool is_lent() const noexcept { return borrower_ != nullptr; }
  [[nodiscard]] bool is_open() const noexcept { return open_; }
  /// For a queue that is lent: puts a buffer behind every slot, to be exchanged for those of frames. Nothing for
  /// others. Error no_memory, with nothing taken.
  [[nodiscard]] Result<void> fill();

  [[nodiscard]] Result<void> use_cache(const MempoolCache& cache) override;
  [[nodiscard]] std::uint32_t in_flight() const noexcept override;
  /// Frames taken, refused ones included. From any thread.
  [[nodiscard]] std::uint64_t packets() const noexcept;
  [[nodiscard]] TxDrops drops() const noexcept;

 private:
  friend struct TxHotPath;
  friend struct ForwardHotPath;
  friend class ForwardQueue;

  static constexpr std::uint32_t kMaxGroups = 4096 / 32;

  void watch_for(MempoolCacheCore* cache) noexcept;
  void open_gate() noexcept;
  void give_back_spares() noexcept;

  // First line, behind the base's gate.
  RingIndex next_;                // first slot that is free to write
  RingIndex clean_;               // first slot whose buffer has not come back
  std::uint32_t mask_ = 0;        // slots - 1
  std::uint32_t group_mask_ = 0;  // slots in a group - 1
  hw::intel::Descriptor* ring_ = nullptr;
  Mbuf** slots_ = nullptr;
  const std::uint64_t* done_ = nullptr;  // the word that says the oldest group is done

  // Second line.
  alignas(64) TxFastPath fast_path_;
  std::uint64_t packets_ = 0;
  Doorbell tail_;
  MempoolCacheCore* cache_ = nullptr;
  std::uint32_t group_shift_ = 0;

  // By group: the slot that is reported done (the last, but for a long frame that runs on into the next group), and
  // whether its buffers must be looked at one by one.
  alignas(64) std::array<std::uint32_t, kMaxGroups> report_slot_{};
  std::array<bool, kMaxGroups> mixed_{};

  // Cold.
  TxDrops drops_;
  std::uint32_t max_frame_ = 0;
  BurstMode path_ = BurstMode::best;
  bool open_ = false;
  bool has_spares_ = false;  // a buffer is behind every slot, sent or not
  QueueBorrower* borrower_ = nullptr;
  std::shared_ptr<MempoolCore> spares_pool_;  // of the buffers to exchange, while it is lent
  std::shared_ptr<MempoolCacheCore> cache_owner_;
  std::shared_ptr<const ContextState> context_;
  std::vector<Mbuf*> slot_memory_;
};

}  // namespace pollux::drivers::intel
