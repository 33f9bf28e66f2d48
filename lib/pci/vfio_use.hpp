// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <functional>

#include "pollux/base/error.hpp"
#include "pollux/pci/device_info.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::pci {

/// Opens a character device and closes it again. 0, or the errno of the attempt.
using NodeProbe = std::function<int(const std::filesystem::path& node)>;
[[nodiscard]] int probe_node(const std::filesystem::path& node);

/// Error `group_in_use` if a process has the device or its IOMMU group open, with the process where it can be seen.
/// Taking such a device from vfio-pci would wait, without limit and deaf to signals, until that process lets go.
[[nodiscard]] Result<void> check_not_open(const SystemPaths& paths, const DeviceInfo& device,
                                          const NodeProbe& probe = probe_node);

}  // namespace pollux::pci
