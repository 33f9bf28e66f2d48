// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/card_driver.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::drivers::e1000e {

/// The driver's row in the table of drivers.
[[nodiscard]] CardDriver driver();

/// Opens a port on an 82574: resets the card, checks its NVM and reads its address. The port is in state `opened`.
/// Errors: not_supported (another card), device_removed, device_fault, timeout, and those of the device's own calls.
/// The device is released on error.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> probe(Context& context, std::unique_ptr<Device> device);

}  // namespace pollux::drivers::e1000e
