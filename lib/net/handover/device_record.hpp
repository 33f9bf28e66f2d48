// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "device/device_handover.hpp"
#include "mem/context_state.hpp"
#include "net/handover/port_handover.hpp"
#include "pollux/device/device.hpp"

namespace pollux::handover {

/// Adds the card of a port to what its successor gets: `device` in the details, and its descriptors. The Device can be
/// handed over.
void add_device(PortHandover::Offer& offer, Device& device, const ContextState& context);
/// The card of a port's record, whose descriptors it takes; nullopt: the port has none. Error invalid_argument.
[[nodiscard]] Result<std::optional<DeviceRecord>> read_device(PortRecord& port);
/// The name of a port's card; empty: it has none.
[[nodiscard]] std::string device_of(const PortRecord& port);

}  // namespace pollux::handover
