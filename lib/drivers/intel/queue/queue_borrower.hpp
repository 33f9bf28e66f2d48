// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/drain_reason.hpp"

namespace pollux::drivers::intel {

/// Whoever moves a queue's frames in place of its own bursts, for as long as one configuration lasts.
/// Thread rule: the port's control thread, except `is_idle`.
class QueueBorrower {
 public:
  QueueBorrower() = default;
  QueueBorrower(const QueueBorrower&) = delete;
  QueueBorrower& operator=(const QueueBorrower&) = delete;

  /// The queue may be used from now on.
  virtual void open() noexcept = 0;
  /// It must not be used from now on; waits for pollers. Error timeout: see BurstGate::close.
  [[nodiscard]] virtual Result<void> close(Clock& clock, Duration limit) = 0;
  /// Whether no burst is going on. From any thread that holds the receive queue's lock.
  [[nodiscard]] virtual bool is_idle() const noexcept = 0;
  /// Drops, counted, what waits to be sent; returns its buffers. With the queues closed.
  virtual std::uint32_t drop_waiting(DrainReason reason) noexcept = 0;
  /// Gives all its queues back: the configuration that they were borrowed under ends.
  virtual void give_back() noexcept = 0;

 protected:
  ~QueueBorrower() = default;
};

}  // namespace pollux::drivers::intel
