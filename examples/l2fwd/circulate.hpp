// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/pollux.hpp"

namespace pollux::examples {

/// Puts `count` frames of 64 bytes onto the wire of `port` by its transmit queue `queue`. Where l2fwd's two ports are
/// each other's link partner, they go round for ever. Waits up to `limit` for a ring with too little room. Errors:
/// no_memory if the pool has fewer, timeout.
[[nodiscard]] Result<void> circulate(Port& port, std::uint16_t queue, std::uint32_t count, MempoolCache& cache,
                                     Clock& clock, Duration limit);

}  // namespace pollux::examples
