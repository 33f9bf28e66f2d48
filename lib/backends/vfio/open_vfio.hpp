// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "backends/vfio/kernel.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/pci/address.hpp"

namespace pollux::vfio {

/// How a device is accessed.
enum class AccessMode {
  automatic,  ///< `iommufd` if available, else `group`; never `no_iommu`
  iommufd,    ///< the device's own file (cdev), on an IOMMUFD
  group,      ///< its IOMMU group, in a type1 container
  no_iommu,   ///< its group of VFIO's no-IOMMU mode
};

/// The part of a URI after "vfio:".
struct VfioUri {
  pci::Address address;
  AccessMode mode = AccessMode::automatic;
  std::string token = {};   ///< a UUID that a physical function and its virtual functions share; empty: none
  std::string keeper = {};  ///< who holds the device across a crash; empty: nobody
};

/// Parses "0000:01:00.0" or "01:00.0", optionally with "?via=iommufd", "?via=group" or "?via=noiommu", and with
/// "?vf_token=UUID" and "?keep=WHERE"; '&' separates them. A token needs the group, what is kept an IOMMU. Error
/// `invalid_argument`.
[[nodiscard]] Result<VfioUri> parse_uri(std::string_view text);

}  // namespace pollux::vfio

/// Access to cards from user space through the kernel's VFIO.
namespace pollux::vfio {

/// Opens the PCI function that `uri` names ("0000:01:00.0" or "01:00.0") and maps all memory of `context` for it. The
/// function is bound to vfio-pci. The Device keeps the Context's state alive.
///
///     0000:01:00.0               IOMMUFD if the kernel has it and this user may open it, else the IOMMU group
///     0000:01:00.0?via=iommufd   the device's own file (cdev) on an IOMMUFD; Linux 6.6 or newer
///     0000:01:00.0?via=group     the device's IOMMU group in a type1 container
///     0000:01:00.0?via=noiommu   no IOMMU: physical addresses, root, huge pages; the card can access all of the
///                                machine's memory. Never chosen automatically; logs a warning once. Open the device
///                                before memory is allocated
///
/// Devices of a Context with the same access mode share one container or IOMMUFD, so that memory is pinned once. One
/// with "?keep=WHERE" has its own, since a successor unmaps all that is in it.
/// Errors: `invalid_argument`, `not_found`, `no_iommu`, `module_not_loaded`, `not_bound`, `not_supported`,
/// `permission_denied`, `group_not_viable`, `group_in_use`, `busy`, `memlock_too_small`, `mapping_limit`,
/// `device_removed` and others, each with a hint. After an error nothing stays open. Thread rule: any thread.
[[nodiscard]] Result<std::unique_ptr<Device>> open_vfio(Context& context, std::string_view uri);

/// The same on a given host.
[[nodiscard]] Result<std::unique_ptr<Device>> open_vfio(Context& context, std::string_view uri, const Host& host);

}  // namespace pollux::vfio
