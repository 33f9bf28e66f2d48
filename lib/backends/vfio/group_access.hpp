// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "backends/vfio/device_access.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/pci/device_info.hpp"

namespace pollux::vfio {

/// Opens `device`, which is behind an IOMMU, through its IOMMU group and the Context's one container, which is opened
/// and attached to the Context with the first device and leaves with the last. Errors are those of Container, Group,
/// and of mapping the memory there is.
[[nodiscard]] Result<OpenedDevice> open_through_group(Context& context, const Host& host,
                                                      const pci::DeviceInfo& device);

/// The same for a device that no IOMMU isolates, with a container of its own kind. The Context's log gets a warning of
/// what that means, once.
[[nodiscard]] Result<OpenedDevice> open_without_iommu(Context& context, const Host& host,
                                                      const pci::DeviceInfo& device);

}  // namespace pollux::vfio
