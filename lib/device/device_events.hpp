// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"

namespace pollux {

/// What makes a port's service due at once: the device's eventfds for errors and removal, and `own`, the driver's own
/// interrupt. -1 for what there is not. Without a device there are none.
[[nodiscard]] std::vector<int> device_events(const Device* device, int own);

/// Checks the device and its eventfds. Errors: device_removed (the host requests the card's removal), device_fault (an
/// uncorrected PCI Express error).
[[nodiscard]] Result<void> check_device(const Device& device);

}  // namespace pollux
