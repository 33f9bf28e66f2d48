// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "drivers/intel/queue/queue_borrower.hpp"
#include "drivers/intel/queue/tx_request.hpp"
#include "hw/intel/descriptors.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/base/ring_index.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/net/burst_mode.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/tx_queue.hpp"

namespace pollux::drivers::intel {

/// The parameters of a transmit queue.
struct TxQueueSetup {
  hw::intel::Descriptor* ring = nullptr;      ///< DMA memory, 128-byte aligned, `size` descriptors
  std::uint32_t size = 0;                     ///< a power of two, 8 to 4,096
  std::uint64_t* head = nullptr;              ///< as in Ring
  std::uint32_t max_frame = 0;                ///< bytes without FCS
  bool segments_tunnels = false;              ///< OffloadLimits::segments_tunnels
  std::uint32_t offloads = kTxUsualOffloads;  ///< OffloadLimits::tx_flags
  Doorbell tail;
  std::shared_ptr<MempoolCacheCore> cache;      ///< null: every buffer returns to its pool's shared list
  std::shared_ptr<const ContextState> context;  ///< mbufs of other Contexts are dropped
  BurstMode mode = BurstMode::best;             ///< one that the processor supports
};

/// The parameters of the transmit fast path: which frames take it, and how their descriptors are filled in. The hot
/// loop keeps them in registers.
struct TxFastPath {
  std::uint64_t command = 0;              ///< the descriptor's high word for the shortest frame
  std::uint64_t per_byte = 0;             ///< what one more byte adds to it, in both length fields
  std::uint32_t shortest = 0;             ///< length, pool and `special` of the shortest frame, as in MbufAccess::word
  std::uint32_t max_excess = 0;           ///< longest frame less the shortest, in bytes
  const ContextState* context = nullptr;  ///< the Context of the frames; checked builds compare it
};

/// A transmit queue of advanced descriptors. tx_burst.hpp has its fast path, tx_slow.cpp its slow path.
///
/// The ring is divided into groups of slots. Only the last slot of a group and of a burst has RS set, so that the card
/// reports it done. A done group is cleaned as a whole, by what its slots have (GroupContent).
class alignas(64) TxQueue final : public pollux::TxQueue {
 public:
  /// The shortest frame, without FCS. The card pads frames to 60 bytes, but needs at least 17 (Linux igb pads shorter
  /// ones itself: igb_main.c, igb_xmit_frame).
  static constexpr std::uint32_t kMinFrame = 17;
  /// Segments of a frame: enough for 9.5 KiB in pieces of 300 bytes.
  static constexpr std::uint32_t kMaxSegments = 32;

  TxQueue() = default;

  using pollux::TxQueue::bytes;
  using pollux::TxQueue::drops;
  using pollux::TxQueue::packets;

  /// Control path, in this order. All but `close` need the gate closed.
  void setup(TxQueueSetup setup);
  /// Empties the ring, for a card whose TDH and TDT are 0.
  void clear() noexcept;
  void open() noexcept override;
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit) override;
  /// Reclaims sent buffers and returns the number of slots still in flight. Needs the gate closed.
  [[nodiscard]] std::uint32_t reclaim_sent() noexcept;
  /// Frees every buffer and returns their number. Counts frames that were not sent. Call it only after the card has
  /// ended DMA.
  std::uint32_t drain(DrainReason reason = DrainReason::stopped) noexcept;
  /// As `setup` with new slots: `slots` has an element for each descriptor. Call it on a drained queue.
  void replace(TxQueueSetup setup, std::vector<Mbuf*> slots) noexcept;
  /// Another device has the queue. Needs the gate closed.
  void exchange_registers(const Doorbell& tail) noexcept { tail_ = tail; }

  /// Whether the card inserts VLAN tags. Needs the gate closed, and with `false` an empty ring.
  void let_card_insert_tags(bool on) noexcept;

  /// As in RxQueue. The borrower exchanges received buffers for sent ones, all of `pool`.
  void lend(QueueBorrower& borrower, std::shared_ptr<MempoolCore> pool) noexcept;
  void take_back() noexcept;
  void end_lending() noexcept;
  [[nodiscard]] bool is_lent() const noexcept { return borrower_ != nullptr; }
  [[nodiscard]] bool is_observed() const noexcept { return !observers().empty(); }
  [[nodiscard]] bool has_head_write_back() const noexcept { return head_ != nullptr; }
  [[nodiscard]] bool is_open() const noexcept { return open_; }
  /// Puts a spare buffer into every slot of a lent queue; the borrower exchanges it for a received one. Does nothing
  /// for other queues. On error no_memory it takes no buffer.
  [[nodiscard]] Result<void> fill();

  [[nodiscard]] std::optional<TxDescriptorStatus> descriptor_status(std::uint32_t offset) const noexcept override;
  [[nodiscard]] std::uint32_t in_flight() const noexcept override;

 private:
  friend struct TxHotPath;
  friend class TxInternals;

  static constexpr std::uint32_t kMaxGroups = 4096 / 32;

  /// What the slots of a group have, as bits.
  enum GroupContent : std::uint8_t {
    kDirect = 0,     ///< direct mbufs of the cache's pool: their pointers go to the cache, and no mbuf is read
    kGaps = 1 << 0,  ///< some slots have no mbuf, since a frame needed several
    kMixed = 1 << 1  ///< mbufs that must be freed one by one; slots of contexts, which have none
  };

  void cache_changed() noexcept override;
  void apply(TxQueueSetup setup) noexcept;
  void open_gate() noexcept;
  [[nodiscard]] BurstFunction* burst_function() const noexcept;
  void give_back_spares() noexcept;
  [[nodiscard]] std::uint32_t buffers_in_flight() const noexcept;

  // First cache line, after the base's gate and counter.
  RingIndex next_;                // next slot to write
  RingIndex clean_;               // oldest slot that has not been cleaned
  std::uint32_t mask_ = 0;        // slots - 1
  std::uint32_t group_mask_ = 0;  // slots in a group, less one
  hw::intel::Descriptor* ring_ = nullptr;
  Mbuf** slots_ = nullptr;
  const std::uint64_t* done_ = nullptr;  // the descriptor word that reports the oldest group

  // Second cache line.
  alignas(64) TxFastPath fast_path_;
  Doorbell tail_;
  MempoolCacheCore* cache_ = nullptr;
  std::uint32_t group_shift_ = 0;

  // For each group: the slot that reports it done, and its GroupContent. The slot is the last one of the group, or the
  // last one of a frame that goes on into the next group.
  alignas(64) std::array<std::uint32_t, kMaxGroups> report_slot_{};
  std::array<std::uint8_t, kMaxGroups> contents_{};

  // Cold.
  TxContexts contexts_;                                 // those that the card has
  std::uint64_t* head_ = nullptr;                       // see tx_head.cpp
  pollux::TxQueue::BurstFunction* after_head_ = &idle;  // the burst function behind burst_by_head
  bool card_inserts_tags_ = false;
  bool segments_tunnels_ = false;
  BurstMode mode_ = BurstMode::best;
  bool open_ = false;
  bool has_spares_ = false;  // every slot has a buffer, in flight or not
  QueueBorrower* borrower_ = nullptr;
  std::shared_ptr<MempoolCore> spares_pool_;  // the pool of the spare buffers while the queue is lent
  std::vector<Mbuf*> slot_memory_;
};

}  // namespace pollux::drivers::intel
