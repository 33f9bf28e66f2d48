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

/// Capability (see capability.hpp): the interrupts that wake threads which sleep on receive queues (RxQueue::arm). Only
/// MSI-X is used, with a vector for each queue where the card has enough; an interrupt pin and MSI are not, because one
/// message for all queues could not say which queue to poll. Vector 0 belongs to no queue. How often they come is
/// Settings::moderation.
class POLLUX_API Interrupts {
 public:
  static constexpr CapabilityId kId{"interrupts"};
  /// The longest interval of a vector.
  static constexpr Duration kMaxInterval = std::chrono::microseconds(0x1FFF);

  virtual ~Interrupts() = default;
  /// The vector of each receive queue, in the order of the queues. Queues with the same vector wake each other. Errors:
  /// not_supported (the device has no MSI-X vectors; its queues have to be polled), bad_state (no vector is enabled:
  /// the port has not been started since it was configured, or its log says why they could not be enabled).
  [[nodiscard]] virtual Result<std::vector<unsigned>> rx_vectors() = 0;
};

}  // namespace pollux
