// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/card_driver.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::drivers::vmxnet3 {

/// The driver's row in the table of drivers. Its devices cannot be recorded: what they do depends on memory.
[[nodiscard]] CardDriver driver();

/// Opens a port on a vmxnet3 device, with its revision 1. The port is in state `opened`. Errors: not_supported (a
/// device without that revision, or one that only passes through to a card), device_fault, device_removed, no_memory,
/// and those of the device's own calls. The device is released on error.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> probe(Context& context, std::unique_ptr<Device> device);

}  // namespace pollux::drivers::vmxnet3
