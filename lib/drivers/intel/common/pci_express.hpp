// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"

namespace pollux::drivers::intel {

/// Sets the completion timeout in the device's Device Control 2 register to 16 to 55 ms if it is at its default. Does
/// nothing on a device without that register. Errors: those of Device::read_config and Device::write_config.
[[nodiscard]] Result<void> raise_completion_timeout(Device& device);

}  // namespace pollux::drivers::intel
