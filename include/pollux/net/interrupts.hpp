// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/capability.hpp"

namespace pollux {

/// Limits how often a card wakes the threads that sleep on its receive queues.
struct InterruptModeration {
  /// The shortest time between two interrupts of a vector, in whole microseconds, at most Interrupts::kMaxInterval. The
  /// first frame after a pause is not delayed. Zero: no limit.
  Duration interval{0};
  /// The port chooses an interval from zero to `interval` each time a queue is armed, by the frames since it was last
  /// armed: none for few frames, all of it for many. Without a frame it stays as it is.
  bool adaptive = false;

  [[nodiscard]] bool operator==(const InterruptModeration&) const = default;
};

/// The part of Interrupts that is no setting.
class POLLUX_API InterruptVectors {
 public:
  virtual ~InterruptVectors() = default;
  /// The vector of each receive queue, in the order of the queues. Queues with the same vector wake each other. Errors:
  /// not_supported (the device has no MSI-X vectors; its queues have to be polled), bad_state (no vector is enabled:
  /// the port has not been started since it was configured, or its log says why they could not be enabled).
  [[nodiscard]] virtual Result<std::vector<unsigned>> rx_vectors() = 0;
};

/// Capability (see capability.hpp): the interrupts that wake threads which sleep on receive queues (RxQueue::arm). Only
/// MSI-X is used, with a vector for each queue where the card has enough; an interrupt pin and MSI are not, because one
/// message for all queues could not say which queue to poll. Vector 0 belongs to no queue.
class POLLUX_API Interrupts : public InterruptVectors {
 public:
  static constexpr CapabilityId kId{"interrupts"};
  using Part = InterruptVectors;
  /// The longest interval of a vector.
  static constexpr Duration kMaxInterval = std::chrono::microseconds(0x1FFF);

  /// Takes effect at once, and also after the port's next starts. It applies to the queue's vector, so to every queue
  /// that shares it; the last call for one of them counts. Errors: not_supported (no MSI-X vectors), invalid_argument
  /// (no such queue, or an interval that is negative, too long, or no whole number of microseconds), bad_state (closed,
  /// failed or suspended).
  [[nodiscard]] virtual Result<void> set_moderation(std::uint16_t queue, const InterruptModeration& moderation) = 0;
  /// What was set last; without a call, no moderation. Errors: not_supported, invalid_argument.
  [[nodiscard]] virtual Result<InterruptModeration> moderation(std::uint16_t queue) = 0;
};

}  // namespace pollux
