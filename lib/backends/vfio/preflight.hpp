// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>

#include "backends/vfio/kernel.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/device_info.hpp"

namespace pollux::vfio {

/// Checks in sysfs, before anything is opened, that `device` can be used. Errors: `no_iommu`, `module_not_loaded`,
/// `not_bound`.
[[nodiscard]] Result<void> check_ready(const Host& host, const pci::DeviceInfo& device);

/// The same for VFIO's no-IOMMU mode. Also checks that the kernel has the mode, that it is switched on, and that
/// `device` needs it. Errors: `not_supported`, `module_not_loaded`, `no_iommu`, `not_bound`.
[[nodiscard]] Result<void> check_ready_without_iommu(const Host& host, const pci::DeviceInfo& device);

/// /dev/vfio/N.
[[nodiscard]] std::filesystem::path group_node(const Host& host, std::uint32_t group);
/// /dev/vfio/noiommu-N.
[[nodiscard]] std::filesystem::path no_iommu_node(const Host& host, std::uint32_t group);

}  // namespace pollux::vfio
