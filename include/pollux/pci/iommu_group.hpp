// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/address.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::pci {

/// One device of an IOMMU group.
struct POLLUX_API GroupMember {
  std::string name;                ///< as sysfs names it: the PCI address or a platform device's name
  std::optional<Address> address;  ///< none: not a PCI device
  std::string driver;              ///< empty: none
  bool bridge = false;             ///< a PCI bridge, which the kernel tolerates in a group whatever drives it
  bool network_controller = false;

  /// Whether VFIO opens the group with this member in it: bound to a VFIO driver, to pci-stub or to nothing, or a
  /// bridge. Linux, Documentation/driver-api/vfio.rst, "Groups, Devices, and IOMMUs".
  [[nodiscard]] bool viable() const;
};

/// The devices that an IOMMU cannot tell apart: VFIO hands over all of them or none. A plain value; any thread.
struct POLLUX_API IommuGroup {
  std::uint32_t number = 0;
  std::vector<GroupMember> members;  ///< in the order of their names

  /// The members that still belong to the host, but for those in `leaving`.
  [[nodiscard]] std::vector<GroupMember> in_the_way(std::span<const Address> leaving = {}) const;
};

/// Whether a driver is one of VFIO's: vfio-pci or one of its variants for a family of devices.
[[nodiscard]] POLLUX_API bool is_vfio_driver(std::string_view driver);

/// Reads a group's members. Error `not_found` if there is no such group.
[[nodiscard]] POLLUX_API Result<IommuGroup> read_group(const SystemPaths& paths, std::uint32_t number);

/// Error `group_not_viable` unless every member can go along when `leaving` are bound to vfio-pci; names each that is
/// in the way, its driver and the command that moves it.
[[nodiscard]] POLLUX_API Result<void> check_viable(const IommuGroup& group, std::span<const Address> leaving);

}  // namespace pollux::pci
