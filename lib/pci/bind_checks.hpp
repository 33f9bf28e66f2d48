// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>

#include "pollux/base/error.hpp"
#include "pollux/pci/device_info.hpp"
#include "pollux/pci/paths.hpp"

/// What must hold before a binding is touched; one question a function, none changes anything.
namespace pollux::pci {

inline constexpr const char* kVfioDriver = "vfio-pci";

[[nodiscard]] Result<void> check_addresses(std::span<const Address> addresses);
[[nodiscard]] Result<void> check_kind(const DeviceInfo& device, bool force);
[[nodiscard]] Result<void> check_vfio_loaded(const SystemPaths& paths);
/// That the device is behind an IOMMU, or that the kernel was told to do without one.
[[nodiscard]] Result<void> check_iommu(const SystemPaths& paths, const DeviceInfo& device);
[[nodiscard]] Result<void> check_permission(const SystemPaths& paths, const DeviceInfo& device);

}  // namespace pollux::pci
