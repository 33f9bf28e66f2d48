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

/// Opens the PCI function `pci_address` ("0000:01:00.0" or "01:00.0"), which is bound to vfio-pci, and makes all memory
/// of `context` reachable for it. Devices of a Context share one container. The Device keeps the Context's state alive.
/// Errors: `invalid_argument`, `not_found`, `no_iommu`, `module_not_loaded`, `not_bound`, `permission_denied`,
/// `group_not_viable`, `group_in_use`, `memlock_too_small`, `mapping_limit`, `device_removed` and others, each with
/// what mends it. Nothing stays open then. Thread rule: any thread.
[[nodiscard]] Result<std::unique_ptr<Device>> open_vfio(Context& context, std::string_view pci_address);

/// The same on a given host.
[[nodiscard]] Result<std::unique_ptr<Device>> open_vfio(Context& context, std::string_view pci_address,
                                                        const Host& host);

}  // namespace pollux::vfio
