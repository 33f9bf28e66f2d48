// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/pollux.hpp"

namespace pollux::examples {

/// Sends `count` frames of 64 bytes on transmit queue `queue` of `port`. If l2fwd's two ports are each other's link
/// partner, these frames circulate forever. Waits up to `limit` for room in the ring. Errors: no_memory if the pool has
/// fewer buffers, timeout.
[[nodiscard]] Result<void> circulate(Port& port, std::uint16_t queue, std::uint32_t count, MempoolCache& cache,
                                     Clock& clock, Duration limit);

}  // namespace pollux::examples
