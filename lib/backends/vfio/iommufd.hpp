// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <optional>

#include "backends/vfio/device_access.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/pci/device_info.hpp"

namespace pollux::vfio {

/// The device's own file (cdev), /dev/vfio/devices/vfioN. Sysfs gives N. None on a kernel before 6.6 or without
/// CONFIG_VFIO_DEVICE_CDEV.
[[nodiscard]] std::optional<std::filesystem::path> device_node(const Host& host, const pci::DeviceInfo& device);

/// Opens `device` through its own file and an IOMMUFD. All devices of a Context share one IOMMUFD. The first device
/// opens it and attaches it to the Context, the last one closes it. Errors: `not_supported` (no device file),
/// `permission_denied`, `not_found`, and those of Iommufd and of mapping the Context's existing memory.
[[nodiscard]] Result<OpenedDevice> open_through_iommufd(Context& context, const Host& host,
                                                        const pci::DeviceInfo& device);

}  // namespace pollux::vfio
