// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "backends/vfio/device_access.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/pci/device_info.hpp"

namespace pollux::vfio {

/// Opens `device`, which is behind an IOMMU, through its IOMMU group. All devices of a Context share one container. The
/// first device opens it and attaches it to the Context, the last one closes it. Errors: those of Container, Group and
/// of mapping the Context's existing memory. `token`: see VfioUri.
[[nodiscard]] Result<OpenedDevice> open_through_group(Context& context, const Host& host, const pci::DeviceInfo& device,
                                                      const std::string& token);

/// The same for a device that no IOMMU isolates, with a no-IOMMU container. Logs a warning about the risk to the
/// Context's log, once.
[[nodiscard]] Result<OpenedDevice> open_without_iommu(Context& context, const Host& host,
                                                      const pci::DeviceInfo& device);

}  // namespace pollux::vfio
