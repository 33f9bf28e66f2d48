// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace pollux {

class RxQueue;
class TxQueue;

/// As seen from the port.
enum class QueueDirection : std::uint8_t { receive, transmit };

/// One queue of a port.
struct QueueId {
  QueueDirection direction = QueueDirection::receive;  ///< whether it receives or sends
  std::uint16_t index = 0;                             ///< of all queues in that direction, from 0 on

  /// A queue's name, such as `QueueId::rx(3)`.
  ///@{
  [[nodiscard]] static constexpr QueueId rx(std::uint16_t index) noexcept { return {QueueDirection::receive, index}; }
  [[nodiscard]] static constexpr QueueId tx(std::uint16_t index) noexcept { return {QueueDirection::transmit, index}; }
  ///@}

  /// Whether it is a receive queue.
  [[nodiscard]] constexpr bool receives() const noexcept { return direction == QueueDirection::receive; }
  [[nodiscard]] constexpr bool operator==(const QueueId&) const noexcept = default;
};

/// The queues of a port, as its driver keeps them. Port::rx and tx read them without a call of the driver.
/// Thread rule: while the port is constructed, one thread adds queues. Later only the counts change, in control calls;
/// any thread may read them.
struct PortQueues {
  /// All that the limits allow, by index. They exist as long as the driver.
  ///@{
  std::vector<RxQueue*> rx = {};
  std::vector<TxQueue*> tx = {};
  ///@}
  /// How many of them are in use, the first ones: those of the settings.
  ///@{
  std::atomic<std::uint16_t> rx_count = 0;
  std::atomic<std::uint16_t> tx_count = 0;
  ///@}

  /// The queue, or nullptr if it is not in use.
  ///@{
  [[nodiscard]] RxQueue* rx_queue(std::uint16_t index) const noexcept {
    return index < rx_count.load(std::memory_order_acquire) ? rx.data()[index] : nullptr;
  }
  [[nodiscard]] TxQueue* tx_queue(std::uint16_t index) const noexcept {
    return index < tx_count.load(std::memory_order_acquire) ? tx.data()[index] : nullptr;
  }
  ///@}
};

}  // namespace pollux
