// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>

#include "backends/vfio/kernel.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/device_info.hpp"

namespace pollux::vfio {

/// What can be told from sysfs before anything is opened: `no_iommu`, `module_not_loaded`, `not_bound`.
[[nodiscard]] Result<void> check_ready(const Host& host, const pci::DeviceInfo& device);

/// /dev/vfio/N.
[[nodiscard]] std::filesystem::path group_node(const Host& host, std::uint32_t group);

}  // namespace pollux::vfio
