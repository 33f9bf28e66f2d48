// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/drops.hpp"

namespace pollux::drivers::intel {

/// Moves a queue's frames in place of the queue's own bursts, until the port is configured again.
/// Thread rule: the port's control thread, except `is_idle`.
class QueueBorrower {
 public:
  /// Why a queue cannot be observed meanwhile: its own bursts yield and take nothing.
  static constexpr const char* kNoObservers = "a forward path moves its frames";

  QueueBorrower() = default;
  QueueBorrower(const QueueBorrower&) = delete;
  QueueBorrower& operator=(const QueueBorrower&) = delete;

  /// Called when the queue has been opened.
  virtual void open() noexcept = 0;
  /// Called when the queue must not be used any more. Waits until no burst is running. Error timeout: see
  /// BurstGate::close.
  [[nodiscard]] virtual Result<void> close(Clock& clock, Duration limit) = 0;
  /// Whether no burst is going on. Any thread that holds the receive queue's lock may call it.
  [[nodiscard]] virtual bool is_idle() const noexcept = 0;
  /// Drops and counts the frame that waits to be sent. Returns the number of buffers freed. Needs the queues closed.
  virtual std::uint32_t drop_waiting(DrainReason reason) noexcept = 0;
  /// Returns all borrowed queues.
  virtual void give_back() noexcept = 0;

 protected:
  ~QueueBorrower() = default;
};

}  // namespace pollux::drivers::intel
