// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <span>

#include "pci/device_info.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/paths.hpp"

/// Checks that Binder makes before it changes a binding. None of these functions changes anything.
namespace pollux::host {

inline constexpr const char* kVfioDriver = "vfio-pci";

[[nodiscard]] Result<void> check_addresses(std::span<const pci::Address> addresses);
[[nodiscard]] Result<void> check_kind(const pci::DeviceInfo& device, bool force);
[[nodiscard]] Result<void> check_vfio_loaded(const pci::SystemPaths& paths);
/// Whether the kernel lets VFIO open devices without an IOMMU. nullopt: this kernel cannot.
[[nodiscard]] std::optional<bool> noiommu_mode(const pci::SystemPaths& paths);
/// Checks that the device is behind an IOMMU or that the kernel's no-IOMMU mode is enabled.
[[nodiscard]] Result<void> check_iommu(const pci::SystemPaths& paths, const pci::DeviceInfo& device);
[[nodiscard]] Result<void> check_permission(const pci::SystemPaths& paths, const pci::DeviceInfo& device);

}  // namespace pollux::host
