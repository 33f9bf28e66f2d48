// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"

namespace pollux::drivers::intel {

/// Maps BAR `bar` with the card's registers and resets the function if the backend supports that. Errors: device_fault
/// (the BAR has fewer than `bytes`), and those of Device::bar and Device::reset.
[[nodiscard]] Result<Bar> take_over(Device& device, unsigned bar, std::uint32_t bytes);

}  // namespace pollux::drivers::intel
