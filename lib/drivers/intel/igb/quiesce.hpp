// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>

#include "drivers/intel/igb/card.hpp"

namespace pollux::drivers::igb {

/// Stops the card's requests to memory: CTRL.GIO_MASTER_DISABLE, then a wait of at most 80 ms for those under way.
/// Only a reset lets it start again. Errors: device_removed, timeout.
[[nodiscard]] Result<void> disable_master(const Card& card);

/// Ends all DMA of a running port: no new frames, what was handed over is sent if the link is up (at most 50 ms, until
/// `transmit_finished` says that it was), queues off, then `disable_master`, which decides. Bounded.
/// Errors: those of `disable_master`; DMA may go on then.
[[nodiscard]] Result<void> quiesce(const Card& card, std::uint32_t rx_queues, std::uint32_t tx_queues,
                                   const std::function<bool()>& transmit_finished);

}  // namespace pollux::drivers::igb
