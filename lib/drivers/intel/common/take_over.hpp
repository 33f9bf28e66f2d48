// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"

namespace pollux::drivers::intel {

/// The window of the card's registers, with the function reset where the backend can. Errors: device_fault (the window
/// has fewer than `bytes`), and those of Device::bar and Device::reset.
[[nodiscard]] Result<Bar> take_over(Device& device, unsigned bar, std::uint32_t bytes);

}  // namespace pollux::drivers::intel
