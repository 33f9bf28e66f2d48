// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"

namespace pollux::drivers::intel {

/// The device's eventfds that mean that the port's service is due at once; -1 where the backend has none.
[[nodiscard]] std::vector<int> device_events(const Device& device);

/// What they and the device itself say. Errors: device_removed (the host wants the card back), device_fault (an
/// uncorrected PCI Express error).
[[nodiscard]] Result<void> check_device(const Device& device);

}  // namespace pollux::drivers::intel
