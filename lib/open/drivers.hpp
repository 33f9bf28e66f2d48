// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux {

/// Hands the card to the driver of the Context that knows it. Error not_supported names the card and every one that is
/// supported, or why this one is not.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> probe_driver(Context& context, std::unique_ptr<Device> device);

}  // namespace pollux
