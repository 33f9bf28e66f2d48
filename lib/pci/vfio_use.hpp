// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/base/error.hpp"
#include "pollux/pci/device_info.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::pci {

/// Error `group_in_use` if a process has the device or its IOMMU group open, with the process where it can be seen.
/// Taking such a device from vfio-pci would wait, without limit and deaf to signals, until that process lets go.
[[nodiscard]] Result<void> check_not_open(const SystemPaths& paths, const DeviceInfo& device);

}  // namespace pollux::pci
