// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace pollux {

/// Why a port drains its rings. The reason decides under which counter the frames in them are counted.
enum class DrainReason : std::uint8_t {
  stopped,  ///< the port was stopped
  removed,  ///< the card was removed or has failed
};

}  // namespace pollux
