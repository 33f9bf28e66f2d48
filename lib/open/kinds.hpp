// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux {

/// Opens the device that `uri` names: "KIND:WHICH", or a PCI address, which means "vfio:ADDRESS".
/// Errors: invalid_argument (malformed, of no known kind, or a port that is no card; the hint lists the kinds), and
/// those of the backend.
[[nodiscard]] Result<std::unique_ptr<Device>> open_device(Context& context, std::string_view uri);

/// Opens the port that `uri` names: a device with the driver that knows its card, or a port that is no card.
/// Errors: those of open_device, of probe_driver and of the software port.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> open_port(Context& context, std::string_view uri);

}  // namespace pollux
