// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <functional>

#include "pollux/base/error.hpp"
#include "pollux/pci/device_info.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::pci {

/// Opens a character device and closes it again. Returns 0 or the errno of open.
using NodeProbe = std::function<int(const std::filesystem::path& node)>;
[[nodiscard]] int probe_node(const std::filesystem::path& node);

/// Error: `group_in_use` if a process has the device or its IOMMU group open. The error names the process if it is
/// visible in /proc. Unbinding such a device from vfio-pci would block uninterruptibly until that process closes it.
[[nodiscard]] Result<void> check_not_open(const SystemPaths& paths, const DeviceInfo& device,
                                          const NodeProbe& probe = probe_node);

}  // namespace pollux::pci
