// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "pci/device_info.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::tool::doctor {

/// Whether an IOMMU group is one that VFIO's no-IOMMU mode has made.
[[nodiscard]] bool is_noiommu_group(const pci::SystemPaths& paths, std::uint32_t group);

/// The IOMMU groups of the machine, without those of the no-IOMMU mode.
[[nodiscard]] std::vector<std::uint32_t> real_groups(const pci::SystemPaths& paths);

/// Whether VFIO's no-IOMMU mode is switched on; nullopt if the kernel is built without it or VFIO is not loaded.
[[nodiscard]] std::optional<bool> noiommu_mode(const pci::SystemPaths& paths);

/// The device files that a process opens to use a device, for each access mode; empty where the mode is not there.
struct VfioFiles {
  std::vector<std::filesystem::path> iommufd;
  std::vector<std::filesystem::path> group;
  std::vector<std::filesystem::path> noiommu;
};
[[nodiscard]] VfioFiles vfio_files(const pci::SystemPaths& paths, const pci::DeviceInfo& device);

}  // namespace pollux::tool::doctor
