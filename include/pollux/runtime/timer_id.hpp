// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace pollux {

/// Names a timer, to cancel it. The id of a timer that has run or was cancelled is not used again.
struct TimerId {
  std::uint32_t index = UINT32_MAX;
  std::uint32_t generation = 0;
};

}  // namespace pollux
