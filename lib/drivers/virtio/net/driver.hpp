// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/card_driver.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::drivers::virtio {

/// The driver's row in the table of drivers. Its devices cannot be recorded: what they do depends on memory.
[[nodiscard]] CardDriver driver();

/// Opens a port on a virtio network device: resets it and reads its configuration. The port is in state `opened`.
/// Errors: not_supported (a legacy device, or one that bypasses the IOMMU), device_removed, device_fault, timeout, and
/// those of the device's own calls. The device is released on error.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> probe(Context& context, std::unique_ptr<Device> device);

}  // namespace pollux::drivers::virtio
