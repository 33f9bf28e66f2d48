// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"

namespace pollux {

/// The device's eventfds for errors and removal. When one is signalled, the port's service is due at once. -1 if the
/// backend has none.
[[nodiscard]] std::vector<int> device_events(const Device& device);

/// Checks the device and its eventfds. Errors: device_removed (the host requests the card's removal), device_fault (an
/// uncorrected PCI Express error).
[[nodiscard]] Result<void> check_device(const Device& device);

}  // namespace pollux
