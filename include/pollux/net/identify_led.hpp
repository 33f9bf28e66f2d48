// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace pollux {

/// What the light shows.
enum class LedMode : std::uint8_t {
  automatic,  ///< link and activity, as the card's NVM sets it
  off,
  on,
  blink,  ///< the card's own rate
};

}  // namespace pollux
