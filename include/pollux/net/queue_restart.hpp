// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/validated_config.hpp"

namespace pollux {

enum class QueueDirection : std::uint8_t { receive, transmit };

/// One queue of a port.
struct QueueId {
  QueueDirection direction = QueueDirection::receive;
  std::uint16_t index = 0;

  [[nodiscard]] bool receives() const noexcept { return direction == QueueDirection::receive; }
};

/// Implemented by a driver that can restart one queue while the others run. Port::restart_rx and restart_tx call it in
/// this order:
///
///     configured port:  prepare, exchange
///     started port:     prepare, close_queue, halt_queue, exchange, start_queue, open_queue
///
/// If close_queue or halt_queue fails, `discard` returns what was prepared. Thread rule: as PortDriver.
class POLLUX_API QueueRestart {
 public:
  virtual ~QueueRestart() = default;

  /// Allocates the memory and mbufs that the queue needs to run with `next`. That configuration differs from the
  /// current one only in this queue. `running`: the port is started. On failure nothing has changed. Errors: no_memory,
  /// busy (something else moves the queue's frames).
  [[nodiscard]] virtual Result<void> prepare(QueueId queue, const ValidatedConfig& next, bool running) = 0;
  /// Returns the memory and mbufs that were prepared and not exchanged.
  virtual void discard() noexcept = 0;
  /// Makes later bursts of that queue empty, and waits for a running one. Error timeout: it has not ended.
  [[nodiscard]] virtual Result<void> close_queue(QueueId queue, Duration limit) = 0;
  /// Called with the queue closed. Afterwards the card does not use its ring and buffers. An error means that the port
  /// has failed.
  [[nodiscard]] virtual Result<void> halt_queue(QueueId queue) = 0;
  /// Called with the queue halted, or on a port that is not started; `next` are its queues already. Drains the queue,
  /// counts its frames under the name `stopped`, and gives it what was prepared.
  virtual void exchange(QueueId queue) noexcept = 0;
  /// Makes the card use the queue again. An error means that the port has failed.
  [[nodiscard]] virtual Result<void> start_queue(QueueId queue) = 0;
  virtual void open_queue(QueueId queue) noexcept = 0;
};

}  // namespace pollux
