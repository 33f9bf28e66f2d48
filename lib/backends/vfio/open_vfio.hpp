// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>

#include "backends/vfio/kernel.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"

/// Cards in user space through the kernel's VFIO.
namespace pollux::vfio {

/// Opens the PCI function that `which` names ("0000:01:00.0" or "01:00.0"), bound to vfio-pci, and makes all memory of
/// `context` reachable for it. The Device keeps the Context's state alive.
///
///     0000:01:00.0               through IOMMUFD where the kernel has it and this user may, else through its group
///     0000:01:00.0?via=iommufd   its own file on an IOMMUFD (Linux 6.6 or newer)
///     0000:01:00.0?via=group     its IOMMU group in a type1 container
///     0000:01:00.0?via=noiommu   without an IOMMU: physical addresses, root, huge pages; the card reaches all of the
///                                machine's memory. Never chosen by itself, and said in the log, once. To be opened
///                                before memory is allocated
///
/// Devices of a Context that are reached in the same way share one container or IOMMUFD, so that memory is pinned once.
/// Errors: `invalid_argument`, `not_found`, `no_iommu`, `module_not_loaded`, `not_bound`, `not_supported`,
/// `permission_denied`, `group_not_viable`, `group_in_use`, `busy`, `memlock_too_small`, `mapping_limit`,
/// `device_removed` and others, each with what mends it. Nothing stays open then. Thread rule: any thread.
[[nodiscard]] Result<std::unique_ptr<Device>> open_vfio(Context& context, std::string_view which);

/// The same on a given host.
[[nodiscard]] Result<std::unique_ptr<Device>> open_vfio(Context& context, std::string_view which, const Host& host);

}  // namespace pollux::vfio
