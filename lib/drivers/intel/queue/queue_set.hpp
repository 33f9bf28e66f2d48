// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "drivers/intel/queue/ring_memory.hpp"
#include "drivers/intel/queue/rx_queue.hpp"
#include "drivers/intel/queue/tx_queue.hpp"
#include "net/frame_size.hpp"
#include "net/validated_config.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/net/stats.hpp"

namespace pollux::drivers::intel {

/// Where a card has the registers of its queues, in bytes from the start of a BAR.
struct QueueRegisters {
  Bar bar;
  std::uint32_t rdh = 0;  ///< of queue 0, as the others
  std::uint32_t rdt = 0;
  std::uint32_t tdt = 0;
  std::uint32_t stride = 0;  ///< from one queue to the next

  [[nodiscard]] Doorbell rx_tail(std::uint32_t queue) const { return Doorbell(bar, rdt + queue * stride); }
  [[nodiscard]] Doorbell tx_tail(std::uint32_t queue) const { return Doorbell(bar, tdt + queue * stride); }
  [[nodiscard]] std::uint32_t rx_head(std::uint32_t queue) const noexcept { return rdh + queue * stride; }
};

/// All queues that the card has, in use or not: a reference to one stays valid as long as the port.
/// Thread rule: the port's control thread, except `count`, `taken` and `delivered`, which any may call.
class QueueSet {
 public:
  explicit QueueSet(const PortLimits& limits)
      : rx_(limits.max_rx_queues), tx_(limits.max_tx_queues), max_frame_(frame_bytes(limits.max_mtu)) {}

  /// Puts the first queues to use as `config` says. With no buffer in any ring. `port`: Mbuf::port() of what arrives.
  void setup(const QueueRegisters& registers, const ValidatedConfig& config, const RingMemory& rings,
             const std::shared_ptr<const ContextState>& context, std::uint16_t port);
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
  [[nodiscard]] std::optional<std::uint64_t> delivered(const QueueRegisters& registers, Clock& clock) const;

 private:
  std::vector<RxQueue> rx_;
  std::vector<TxQueue> tx_;
  std::uint32_t max_frame_;  // bytes that may be sent: the MTU bounds what is received, the card alone what is sent
  // Written by the control thread.
  std::atomic<std::uint16_t> rx_count_ = 0;
  std::atomic<std::uint16_t> tx_count_ = 0;
};

}  // namespace pollux::drivers::intel
