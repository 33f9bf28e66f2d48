// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/igb/card.hpp"

namespace pollux::drivers::igb {

/// Resources that firmware and the other port of the package also use.
enum class Shared : std::uint8_t { nvm, phy };

/// Holds a shared resource of the card until it is destroyed. Hold it for less than a second: firmware may take it away
/// after that (I210 datasheet, 4.6.1).
class SharedResource {
 public:
  /// Waits about a second. Then clears the lock of a holder that seems to have died, with a warning, and tries once
  /// more. Errors: device_removed, timeout.
  [[nodiscard]] static Result<SharedResource> acquire(const Card& card, Shared which);
  SharedResource(SharedResource&& other) noexcept : card_(std::exchange(other.card_, nullptr)), bit_(other.bit_) {}
  SharedResource& operator=(SharedResource&&) = delete;
  ~SharedResource();

 private:
  SharedResource(const Card& card, hw::igb::SW_FW_SYNC::Setting bit) noexcept : card_(&card), bit_(bit) {}

  const Card* card_;
  hw::igb::SW_FW_SYNC::Setting bit_;
};

}  // namespace pollux::drivers::igb
