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

/// What a driver supplies if it can set one queue up anew while the others run. Port::restart_rx and restart_tx call
/// it:
///
///     prepare                                          the configured port:  exchange
///     the started port:  close_queue, halt_queue, exchange, start_queue, open_queue
///
/// Where a step fails that may fail, `discard` gives back what was prepared. Thread rule: as PortDriver.
class POLLUX_API QueueRestart {
 public:
  virtual ~QueueRestart() = default;

  /// Takes what the queue needs of memory and mbufs to run as `next` says, which differs from the configuration in
  /// force in that queue alone. `running`: the port is started. On failure nothing has changed. Errors: no_memory, busy
  /// (something else moves the queue's frames).
  [[nodiscard]] virtual Result<void> prepare(QueueId queue, const ValidatedConfig& next, bool running) = 0;
  /// Gives back what was prepared and not exchanged.
  virtual void discard() noexcept = 0;
  /// Bursts of that queue do nothing from now on; waits for one that is going on. Error timeout: it has not ended.
  [[nodiscard]] virtual Result<void> close_queue(QueueId queue, Duration limit) = 0;
  /// Closed: afterwards the card does not use the queue's ring and buffers. An error means that the port has failed.
  [[nodiscard]] virtual Result<void> halt_queue(QueueId queue) = 0;
  /// Halted, or the port is not started: drains the queue under the name `stopped` and gives it what was prepared.
  virtual void exchange(QueueId queue) noexcept = 0;
  /// The card works on the queue again. An error means that the port has failed.
  [[nodiscard]] virtual Result<void> start_queue(QueueId queue) = 0;
  virtual void open_queue(QueueId queue) noexcept = 0;
};

}  // namespace pollux
