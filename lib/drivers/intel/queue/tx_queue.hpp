// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "drivers/intel/queue/queue_borrower.hpp"
#include "drivers/intel/queue/tx_ring.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/net/burst_mode.hpp"
#include "pollux/net/drops.hpp"

namespace pollux::drivers::intel {

/// The parameters of a transmit queue.
struct IntelTxQueueSetup {
  hw::intel::Descriptor* ring = nullptr;      ///< DMA memory, 128-byte aligned, `size` descriptors
  std::uint32_t size = 0;                     ///< a power of two, 8 to 4,096
  std::uint32_t max_frame = 0;                ///< bytes without FCS
  bool segments_tunnels = false;              ///< OffloadLimits::segments_tunnels
  std::uint32_t offloads = kTxUsualOffloads;  ///< OffloadLimits::tx_flags
  Doorbell tail;
  std::shared_ptr<MempoolCacheCore> cache;      ///< null: every buffer returns to its pool's shared list
  std::shared_ptr<const ContextState> context;  ///< mbufs of other Contexts are dropped
  BurstMode mode = BurstMode::best;             ///< one that the processor supports
  const TxFormat* format = &kAdvancedTx;
  bool is_alone = false;  ///< the port has no other transmit queue
};

/// A transmit queue of advanced descriptors: the control of a ring.
class IntelTxQueue final : public TxRing {
 public:
  IntelTxQueue() = default;

  using pollux::TxQueueDriver::bytes;
  using pollux::TxQueueDriver::drops;
  using pollux::TxQueueDriver::packets;

  /// Control path, in this order. All but `close` need the gate closed.
  void setup(IntelTxQueueSetup setup);
  /// Empties the ring, for a card whose TDH and TDT are 0.
  void clear() noexcept;
  void open() noexcept override;
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit) override;
  /// Reclaims sent buffers and returns the number of slots still in flight. Needs the gate closed.
  [[nodiscard]] std::uint32_t reclaim_sent() noexcept;
  /// [I-TXSTOP] The card has ended the queue and read the descriptors in front of `head` (TDH), so `drain` takes their
  /// frames for sent. It reports done only some of them.
  void note_head(std::uint32_t head) noexcept { stopped_at_ = head; }
  /// Frees every buffer and returns their number. Counts frames that were not sent. Call it only after the card has
  /// ended DMA.
  std::uint32_t drain(DrainReason reason = DrainReason::stopped) noexcept;
  /// As `setup` with new slots: `empty` has an element for each descriptor. Call it on a drained queue.
  void replace(IntelTxQueueSetup setup, std::vector<Mbuf*> empty) noexcept;
  /// Another device has the queue. Needs the gate closed.
  void exchange_registers(const Doorbell& new_tail) noexcept { tail = new_tail; }

  /// Whether the card inserts VLAN tags. Needs the gate closed, and with `false` an empty ring.
  void let_card_insert_tags(bool on) noexcept;

  /// As in RxQueue. The borrower exchanges received buffers for sent ones, all of `pool`.
  void set_borrower(QueueBorrower& borrower, std::shared_ptr<MempoolCore> pool) noexcept;
  void clear_borrower() noexcept;
  void detach_borrower() noexcept;
  [[nodiscard]] bool is_borrowed() const noexcept { return borrower_ != nullptr; }
  [[nodiscard]] bool is_observed() const noexcept { return !observers().empty(); }
  [[nodiscard]] bool is_open() const noexcept { return open_; }
  /// Puts a spare buffer into every slot of a borrowed queue; the borrower exchanges it for a received one. Does
  /// nothing for other queues. On error no_memory it takes no buffer.
  [[nodiscard]] Result<void> fill();

  [[nodiscard]] std::optional<TxDescriptorStatus> descriptor_status(std::uint32_t offset) const noexcept override;
  [[nodiscard]] std::uint32_t in_flight() const noexcept override;

 private:
  void cache_changed() noexcept override;
  void apply(IntelTxQueueSetup setup) noexcept;
  void open_gate() noexcept;
  [[nodiscard]] BurstFunction* burst_function() const noexcept;
  void give_back_spares() noexcept;
  [[nodiscard]] std::uint32_t buffers_in_flight() const noexcept;
  /// How many slots, from the oldest in flight on, the card has read.
  [[nodiscard]] std::uint32_t slots_read() const noexcept;

  const TxFormat* format_ = &kAdvancedTx;
  BurstMode mode_ = BurstMode::best;
  bool open_ = false;
  std::optional<std::uint32_t> stopped_at_;
  QueueBorrower* borrower_ = nullptr;
  std::shared_ptr<MempoolCore> spares_pool_;  // the pool of the spare buffers while the queue is borrowed
  std::vector<Mbuf*> slot_memory_;
};

}  // namespace pollux::drivers::intel
