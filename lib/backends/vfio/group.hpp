// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "backends/vfio/descriptor.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/device_info.hpp"

namespace pollux::vfio {

class GroupContainer;

enum class GroupKind {
  behind_iommu,
  without_iommu,  ///< created by VFIO for a device that no IOMMU isolates
};

/// An IOMMU group that this process has opened. The kernel allows one open descriptor for each group.
class Group {
 public:
  /// Opens the group of `device` and checks that all its devices are bound to VFIO. Errors: `permission_denied`,
  /// `group_in_use`, `group_not_viable`, `not_found`.
  [[nodiscard]] static Result<Group> open(const Host& host, const pci::DeviceInfo& device, GroupKind kind);

  /// Adds the group to the container's address space. Error `not_supported` if the container cannot take this group.
  [[nodiscard]] Result<void> join(const GroupContainer& container);
  /// Opens one of the group's devices. `token`: see VfioUri; empty: none. Error `permission_denied`: it needs another.
  /// Call after `join` and after the container's `set_iommu`.
  [[nodiscard]] Result<Descriptor> open_device(pci::Address address, const std::string& token) const;
  [[nodiscard]] std::uint32_t number() const noexcept { return number_; }

 private:
  Group(Descriptor descriptor, std::uint32_t number) : descriptor_(std::move(descriptor)), number_(number) {}

  Descriptor descriptor_;
  std::uint32_t number_;
};

}  // namespace pollux::vfio
