// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/wake_on_lan.hpp"

namespace pollux::drivers::igb {

/// Whether the board wires this port to wake the machine. Errors: bad_state, device_removed, timeout (the NVM).
[[nodiscard]] Result<bool> may_wake(const IgbCard& card);

/// Arms the card with the events, if there are any, after a reset. The link is `config`'s; a change of the link wakes
/// only if it does not come up now. Errors: those of `start_link` and `disable_master`.
[[nodiscard]] Result<void> arm_wake(const IgbCard& card, WakeEvents events, const MacAddress& mac,
                                    const LinkConfig& config);

}  // namespace pollux::drivers::igb
