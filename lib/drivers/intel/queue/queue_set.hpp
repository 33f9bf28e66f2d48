// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <vector>

#include "drivers/intel/queue/interrupts.hpp"
#include "drivers/intel/queue/ring_memory.hpp"
#include "drivers/intel/queue/rx_queue.hpp"
#include "drivers/intel/queue/tx_queue.hpp"
#include "net/frame_size.hpp"
#include "net/queue_caches.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/net/offload_limits.hpp"
#include "pollux/net/stats.hpp"

namespace pollux::drivers::intel {

/// The offsets of a card's queue registers in a BAR, in bytes.
struct QueueRegisters {
  Bar bar;
  std::uint32_t rdh = 0;  ///< of queue 0, as are rdt and tdt
  std::uint32_t rdt = 0;
  std::uint32_t tdt = 0;
  std::uint32_t stride = 0;  ///< from one queue to the next
  bool have_enable = true;   ///< RXDCTL and TXDCTL say whether a queue is enabled

  [[nodiscard]] Doorbell rx_tail(std::uint32_t queue) const { return Doorbell(bar, rdt + queue * stride); }
  [[nodiscard]] Doorbell tx_tail(std::uint32_t queue) const { return Doorbell(bar, tdt + queue * stride); }
  [[nodiscard]] std::uint32_t rx_head(std::uint32_t queue) const noexcept { return rdh + queue * stride; }
};

/// All queues of a card, in use or not. A reference to one stays valid as long as the port.
/// Thread rule: the port's control thread, except `taken` and `delivered`, which any may call.
class QueueSet {
 public:
  /// `memory`: that the queues are in; null: any.
  QueueSet(const PortLimits& limits, const OffloadLimits& offloads, const TxFormat& format = kAdvancedTx,
           const std::shared_ptr<std::pmr::memory_resource>& memory = nullptr)
      : memory_(memory),
        rx_(limits.max_rx_queues, memory ? memory.get() : std::pmr::get_default_resource()),
        tx_(limits.max_tx_queues, memory ? memory.get() : std::pmr::get_default_resource()),
        max_frame_(frame_bytes(limits.max_mtu)),
        segments_tunnels_(offloads.segments_tunnels),
        offloads_(offloads.tx_flags),
        format_(format) {}

  /// Sets up the first queues as `settings` says. No ring may hold a buffer. `port`: Mbuf::port() of received frames.
  void setup(const QueueRegisters& registers, const PlacedSettings& settings, const RingMemory& rings,
             const std::shared_ptr<const ContextState>& context, std::uint16_t port);
  /// The setup of one queue. `ring` is its own ring.
  [[nodiscard]] static IntelRxQueueSetup rx_setup(const QueueRegisters& registers, const PlacedSettings& settings,
                                                  std::uint32_t queue, const Ring& ring, std::uint16_t port);
  [[nodiscard]] IntelTxQueueSetup tx_setup(const QueueRegisters& registers, const PlacedSettings& settings,
                                           std::uint32_t queue, const Ring& ring,
                                           const std::shared_ptr<const ContextState>& context) const;
  /// The queues access another device's registers from now on. Needs them closed.
  void exchange_registers(const QueueRegisters& registers) noexcept;
  /// Ends the use of all queues: the rings are not read any more. No ring may hold a buffer.
  void retire() noexcept {
    rx_count_ = 0;
    tx_count_ = 0;
  }

  /// Threads may sleep on the receive queues, since the card has `vectors` MSI-X vectors. Call it before the queues are
  /// used.
  void allow_sleeping(unsigned vectors);
  /// The vectors; nullptr if the card has none.
  [[nodiscard]] QueueInterrupts* interrupts() noexcept { return interrupts_ ? &*interrupts_ : nullptr; }
  /// See QueueInterrupts::detach.
  void detach_interrupts() noexcept {
    if (interrupts_) interrupts_->detach(*this);
  }
  /// See QueueInterrupts::other_event; -1 without vectors.
  [[nodiscard]] int other_event() const noexcept { return interrupts_ ? interrupts_->other_event() : -1; }
  /// Calls `action` with each receive queue, in use or not.
  template <class Action>
  void for_each_rx(Action action) {
    for (IntelRxQueue& queue : rx_) action(queue);
  }
  template <class Action>
  void for_each_tx(Action action) {
    for (IntelTxQueue& queue : tx_) action(queue);
  }

  /// Whether the card has advanced descriptors, which forward paths write.
  [[nodiscard]] bool has_advanced_descriptors() const noexcept { return &format_ == &kAdvancedTx; }

  /// Whether they are in memory that outlives the program.
  [[nodiscard]] bool are_kept() const noexcept { return memory_ != nullptr; }

  /// Fills all receive rings with buffers and empties all transmit rings. On error no_memory it takes no buffer.
  [[nodiscard]] Result<void> fill();
  /// The format of received frames' metadata, for all receive queues (IntelRxQueue::set_format). Needs them closed.
  void set_rx_format(RxFormat format) noexcept;
  /// Bytes of the longest good frame, on the wire, for all receive queues: a longer one that is kept is marked as bad.
  void set_longest_good(std::uint32_t bytes) noexcept;
  /// Whether software drops longer ones, for all receive queues. Needs them closed.
  void drop_long_frames(bool on) noexcept;
  /// Closes and opens the receive queues alone. One that is not open is left as it is.
  [[nodiscard]] Result<void> pause_receive(Clock& clock, Duration limit);
  void resume_receive() noexcept;
  /// Whether the card inserts VLAN tags, for all transmit queues. Needs them closed, and with `false` empty rings.
  void let_card_insert_tags(bool on) noexcept;
  /// Closes and opens the transmit queues alone. A queue that is not open, or that a forward
  /// path has, is left as it is.
  [[nodiscard]] Result<void> pause_transmit(Clock& clock, Duration limit);
  /// As `transmit_finished`, for the paused queues alone: another thread may be using the others.
  [[nodiscard]] bool paused_finished() noexcept;
  void resume_transmit() noexcept;
  /// Reclaims sent buffers. Returns whether everything has been sent. Needs the queues closed.
  [[nodiscard]] bool transmit_finished() noexcept;
  /// Frees every buffer and returns their number. Call it only after the card has ended DMA.
  std::uint32_t drain(DrainReason reason = DrainReason::stopped) noexcept;

  [[nodiscard]] IntelRxQueue* rx(std::uint32_t queue) noexcept { return queue < rx_count_ ? &rx_[queue] : nullptr; }
  [[nodiscard]] IntelTxQueue* tx(std::uint32_t queue) noexcept { return queue < tx_count_ ? &tx_[queue] : nullptr; }

  /// Good frames that have been taken out of the receive rings.
  [[nodiscard]] std::uint64_t taken() const;
  /// Frames taken out of the receive rings plus frames in them, while the port runs: see DeliveredFrames.
  [[nodiscard]] std::optional<std::uint64_t> delivered(const QueueRegisters& registers, Clock& clock) const;

 private:
  [[nodiscard]] std::optional<std::uint64_t> delivered(const QueueRegisters& registers, std::uint32_t queue,
                                                       Clock& clock) const;

  std::optional<QueueInterrupts> interrupts_;
  std::shared_ptr<std::pmr::memory_resource> memory_;
  std::pmr::vector<IntelRxQueue> rx_;
  std::pmr::vector<IntelTxQueue> tx_;
  std::vector<IntelTxQueue*> paused_;
  std::vector<IntelRxQueue*> paused_rx_;
  std::uint32_t max_frame_;  // longest frame to send, in bytes: the card's limit. The MTU limits received frames only.
  bool segments_tunnels_;
  std::uint32_t offloads_;  // TxOffload flags
  const TxFormat& format_;
  // Written by the control thread.
  std::atomic<std::uint16_t> rx_count_ = 0;
  std::atomic<std::uint16_t> tx_count_ = 0;
};

}  // namespace pollux::drivers::intel
