// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux {

/// Probes the device with the driver of the Context that knows its card. The error not_supported lists the supported
/// cards, or says why this card is not supported.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> probe_driver(Context& context, std::unique_ptr<Device> device);

}  // namespace pollux
