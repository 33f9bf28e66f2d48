// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>

#include "drivers/intel/queue/queue_port.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/forward_path.hpp"

namespace pollux::drivers::intel {

/// Joins a receive queue of `in` and a transmit queue of `out`, both configured and of one Context; they may be of
/// different cards. Errors: invalid_argument (no such queue, one that has a path), not_supported (`out` is no port of
/// such cards).
[[nodiscard]] Result<std::unique_ptr<ForwardPath>> make_forward_path(QueuePort& in, std::uint16_t rx_queue,
                                                                     PortDriver& out, std::uint16_t tx_queue);

}  // namespace pollux::drivers::intel
