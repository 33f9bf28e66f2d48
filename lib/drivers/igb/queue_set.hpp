// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "drivers/igb/card.hpp"
#include "drivers/igb/config_check.hpp"
#include "drivers/igb/ring_memory.hpp"
#include "drivers/igb/rx_queue.hpp"
#include "drivers/igb/tx_queue.hpp"
#include "hw/igb/limits.hpp"
#include "pollux/net/stats.hpp"

namespace pollux::igb {

/// All queues that the card has, in use or not: a reference to one stays valid as long as the port.
/// Thread rule: the port's control thread, except `count`, `taken` and `delivered`, which any may call.
class QueueSet {
 public:
  /// Puts the first queues to use as `plan` says. With no buffer in any ring.
  void setup(const Card& card, const Plan& plan, const RingMemory& rings, std::uint16_t port);
  /// Nobody uses any queue any more, and memory of the rings is not looked at again. With no buffer in any ring.
  void retire() noexcept {
    rx_count_ = 0;
    tx_count_ = 0;
  }

  /// Buffers into all receive rings, all transmit rings empty. Error no_memory, with nothing taken.
  [[nodiscard]] Result<void> fill();
  void open() noexcept;
  /// Bursts yield nothing from now on; waits for pollers. Error timeout: one does not come out; call again.
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit);
  /// Takes back what has been sent; whether that is all. With the queues closed.
  [[nodiscard]] bool transmit_settled() noexcept;
  /// Takes every buffer back; returns how many. Only when the card does no DMA any more.
  std::uint32_t drain(DrainReason reason = DrainReason::stopped) noexcept;

  [[nodiscard]] RxQueue* rx(std::uint32_t queue) noexcept { return queue < rx_count_ ? &rx_[queue] : nullptr; }
  [[nodiscard]] TxQueue* tx(std::uint32_t queue) noexcept { return queue < tx_count_ ? &tx_[queue] : nullptr; }

  /// Adds what the queues count: frames of bursts, drops by reason, and each queue's own.
  void count(Stats& stats) const;
  /// Frames that all receive queues together took out of their rings.
  [[nodiscard]] std::uint64_t taken() const;
  /// The same and those that are in the rings, while the port runs: see DeliveredFrames.
  [[nodiscard]] std::optional<std::uint64_t> delivered(const hw::igb::Registers& regs, Clock& clock) const;

 private:
  std::array<RxQueue, hw::igb::kRxQueues> rx_;
  std::array<TxQueue, hw::igb::kTxQueues> tx_;
  // Written by the control thread.
  std::atomic<std::uint16_t> rx_count_ = 0;
  std::atomic<std::uint16_t> tx_count_ = 0;
};

}  // namespace pollux::igb
