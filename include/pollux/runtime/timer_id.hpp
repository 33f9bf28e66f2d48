// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace pollux {

/// Names a timer, to cancel it. That of a timer which has run names no other one later.
struct TimerId {
  std::uint32_t index = UINT32_MAX;
  std::uint32_t generation = 0;
};

}  // namespace pollux
