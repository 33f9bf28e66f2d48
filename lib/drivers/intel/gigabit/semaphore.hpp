// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/gigabit/card.hpp"

namespace pollux::drivers::gigabit {

/// Resources that firmware and the other port of the package also use.
enum class Shared : std::uint8_t { nvm, phy };

/// Holds a shared resource of the card until it is destroyed. Hold it for less than a second: firmware may take it away
/// after that (I210 datasheet, 4.6.1).
class SharedResource {
 public:
  /// Waits about a second. Then clears the lock of a driver that seems to have died, with a warning, and tries once
  /// more, so that it takes at most about 2.5 seconds. A lock of the firmware is never cleared. Errors: device_removed,
  /// timeout.
  [[nodiscard]] static Result<SharedResource> acquire(const GigabitCard& card, Shared which);
  SharedResource(SharedResource&& other) noexcept : card_(std::exchange(other.card_, nullptr)), which_(other.which_) {}
  SharedResource& operator=(SharedResource&&) = delete;
  ~SharedResource();

 private:
  SharedResource(const GigabitCard& card, Shared which) noexcept : card_(&card), which_(which) {}

  const GigabitCard* card_;
  Shared which_;
};

}  // namespace pollux::drivers::gigabit
