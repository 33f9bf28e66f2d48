// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/gigabit/card.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/wake_on_lan.hpp"

namespace pollux::drivers::gigabit {

/// Whether the board wires this port to wake the machine. Errors: bad_state, device_removed, timeout (the NVM).
[[nodiscard]] Result<bool> may_wake(const GigabitCard& card);

/// Arms the card with the events, after a reset and with its filters cleared. The link is `config`'s; a change of the
/// link wakes only if it does not come up now. Errors: those of `start_link` and `disable_master`.
[[nodiscard]] Result<void> arm_wake(const GigabitCard& card, WakeEvents events, const MacAddress& mac,
                                    const LinkConfig& config);

}  // namespace pollux::drivers::gigabit
