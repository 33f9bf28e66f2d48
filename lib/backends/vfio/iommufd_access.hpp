// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <optional>

#include "backends/vfio/device_access.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/pci/device_info.hpp"

namespace pollux::vfio {

/// The device's own file, /dev/vfio/devices/vfioN, as sysfs names it; none on a kernel before 6.6 or without
/// CONFIG_VFIO_DEVICE_CDEV.
[[nodiscard]] std::optional<std::filesystem::path> device_node(const Host& host, const pci::DeviceInfo& device);

/// Opens `device` through its own file and the Context's one IOMMUFD, which is opened and attached to the Context with
/// the first device and leaves with the last. Errors: `not_supported` (no device file), `permission_denied`,
/// `not_found`, and those of Iommufd and of mapping the memory there is.
[[nodiscard]] Result<OpenedDevice> open_through_iommufd(Context& context, const Host& host,
                                                        const pci::DeviceInfo& device);

}  // namespace pollux::vfio
