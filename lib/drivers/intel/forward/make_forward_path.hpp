// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>

#include "drivers/intel/queue/queue_port.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/forward_path.hpp"

namespace pollux::drivers::intel {

/// Makes a forward path from a receive queue of `in` to a transmit queue of `out`. Both ports are configured and belong
/// to one Context; the cards may differ. Errors: invalid_argument (no such queue, or it already has a path),
/// not_supported (`out` is not a QueuePort).
[[nodiscard]] Result<std::unique_ptr<ForwardPath>> make_forward_path(QueuePort& in, std::uint16_t rx_queue,
                                                                     PortDriver& out, std::uint16_t tx_queue);

}  // namespace pollux::drivers::intel
