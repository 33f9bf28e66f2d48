// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/card_driver.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::drivers::igbvf {

/// The driver's row in the table of drivers. Its cards cannot be recorded, since the number of mailbox polls depends on
/// time.
[[nodiscard]] CardDriver driver();

/// Opens a port on a virtual function of an 82576 or I350: resets it and asks the physical function's driver for its
/// MAC address. The port is in state `opened`. Errors: not_supported (another card), device_removed, device_fault,
/// timeout (the physical function's driver does not answer), and those of the device's own calls. The device is
/// released on error.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> probe(Context& context, std::unique_ptr<Device> device);

}  // namespace pollux::drivers::igbvf
