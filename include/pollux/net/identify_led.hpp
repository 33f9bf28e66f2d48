// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/capability.hpp"

namespace pollux {

/// What the light shows.
enum class LedMode : std::uint8_t {
  automatic,  ///< link and activity, as the card's NVM sets it
  off,
  on,
  blink,  ///< the card's own rate
};

/// Capability (see capability.hpp): the light that shows which port this is. The setting stays in force, through stops,
/// starts and resets, until the port is closed; then the light is automatic again.
class POLLUX_API IdentifyLed {
 public:
  static constexpr CapabilityId kId{"led"};

  virtual ~IdentifyLed() = default;
  /// Errors: bad_state (closed), device_removed, timeout (the NVM, which names the light).
  [[nodiscard]] virtual Result<void> set_led(LedMode mode) = 0;
  /// As set.
  [[nodiscard]] virtual LedMode led() const = 0;
};

}  // namespace pollux
