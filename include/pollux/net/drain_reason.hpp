// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace pollux {

/// Why a port takes its buffers back, which says under which counter their frames go.
enum class DrainReason : std::uint8_t {
  stopped,  ///< the port was stopped
  removed,  ///< the card was gone or had failed
};

}  // namespace pollux
