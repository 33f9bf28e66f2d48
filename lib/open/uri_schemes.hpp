// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux {

/// Opens the port that `uri` names: a device with the driver that knows its card, or a software port.
/// Errors: those of open_device, of probe_driver and of the software port.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> open_port(Context& context, std::string_view uri);

}  // namespace pollux
