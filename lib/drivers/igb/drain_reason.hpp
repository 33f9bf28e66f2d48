// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace pollux::igb {

/// Why a port takes back what is in its rings, and so the name under which frames are counted that lie there.
enum class DrainReason : std::uint8_t {
  stopped,
  removed,  ///< the card is gone or has failed
};

}  // namespace pollux::igb
