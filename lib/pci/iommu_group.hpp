// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/pci/address.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::pci {

/// One device of an IOMMU group.
struct GroupMember {
  std::string name;                 ///< its name in sysfs: a PCI address or the name of a platform device
  std::optional<Address> address;   ///< none: not a PCI device
  std::string driver;               ///< empty: none
  bool bridge = false;              ///< a PCI bridge; its driver does not matter for the group
  bool network_controller = false;  ///< by its PCI class

  /// Whether VFIO can open a group with this member: the member is bound to a VFIO driver, pci-stub or no driver, or is
  /// a bridge. Linux, Documentation/driver-api/vfio.rst, "Groups, Devices, and IOMMUs".
  [[nodiscard]] bool viable() const;
};

/// A set of devices that the IOMMU cannot isolate from each other. VFIO uses all of them or none. A plain value; any
/// thread.
struct IommuGroup {
  std::uint32_t number = 0;          ///< as under /sys/kernel/iommu_groups
  std::vector<GroupMember> members;  ///< sorted by name

  /// The members that keep VFIO from opening the group, except those in `leaving`.
  [[nodiscard]] std::vector<GroupMember> obstacles(std::span<const Address> leaving = {}) const;
};

/// Whether a driver is a VFIO driver: vfio-pci or a variant of it.
[[nodiscard]] bool is_vfio_driver(std::string_view driver);

/// Reads a group's members. Error `not_found` if there is no such group.
[[nodiscard]] Result<IommuGroup> read_group(const SystemPaths& paths, std::uint32_t number);

/// Checks that VFIO can open the group after `leaving` are bound to vfio-pci. Error: `group_not_viable`, with each
/// obstacle, its driver and the command that unbinds it.
[[nodiscard]] Result<void> check_viable(const IommuGroup& group, std::span<const Address> leaving);

}  // namespace pollux::pci
