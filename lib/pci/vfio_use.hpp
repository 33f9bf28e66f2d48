// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/pci/device_info.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::pci {

/// Opens a character device and closes it again. Returns 0 or the errno of open.
using NodeProbe = std::function<int(const std::filesystem::path& node)>;
[[nodiscard]] int probe_node(const std::filesystem::path& node);

/// Who has a device or its IOMMU group open.
struct DeviceHolder {
  std::string process;         ///< the number of the process; empty: it is not visible in /proc
  std::string name;            ///< of the process
  std::filesystem::path node;  ///< the device file that it has open
};

/// The processes that have the device or its IOMMU group open, each once. One that is not visible in /proc is found
/// only if no other is. Files are compared by their device numbers: a process may give any file a path, and the device
/// file another one.
[[nodiscard]] std::vector<DeviceHolder> find_holders(const SystemPaths& paths, const DeviceInfo& device,
                                                     const NodeProbe& probe = probe_node);

/// Error: `group_in_use` if a process has the device or its IOMMU group open. The error names the process if it is
/// visible in /proc. Unbinding such a device from vfio-pci would block uninterruptibly until that process closes it.
[[nodiscard]] Result<void> check_not_open(const SystemPaths& paths, const DeviceInfo& device,
                                          const NodeProbe& probe = probe_node);

/// The same for the device's virtual functions. The kernel removes them before their physical function leaves its
/// driver, and waits without limit for whoever has one open. The IOMMU group of the device itself is not looked at: the
/// caller may have it open.
[[nodiscard]] Result<void> check_functions_not_open(const SystemPaths& paths, const DeviceInfo& device,
                                                    const NodeProbe& probe = probe_node);

}  // namespace pollux::pci
