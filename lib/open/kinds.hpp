// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"

namespace pollux {

/// Opens the device that `uri` names: "KIND:WHICH", or a PCI address, which means "vfio:ADDRESS".
/// Errors: invalid_argument (malformed, or of no known kind; the hint lists the kinds), and those of the backend.
[[nodiscard]] Result<std::unique_ptr<Device>> open_device(Context& context, std::string_view uri);

}  // namespace pollux
