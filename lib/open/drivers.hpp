// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux {

/// Hands the card to the driver that knows it. Error not_supported names the card and every one that is supported.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> probe_driver(Context& context, std::unique_ptr<Device> device);

/// "igb (8086:10c9 82576, ...)" for each driver, for a hint.
[[nodiscard]] std::string supported_cards();

}  // namespace pollux
