// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "backends/vfio/group.hpp"
#include "backends/vfio/group_container.hpp"
#include "pollux/base/error.hpp"

namespace pollux {
class ContextState;
}

namespace pollux::vfio {

/// Shares one container between the devices of a Context. Records the open container, its groups, and the open devices
/// of each group. Thread rule: any thread. Lock order: its own lock first, then the Context's.
class ContainerRegistry {
 public:
  using OpenContainer = Result<std::shared_ptr<GroupContainer>> (*)(const Host& host);
  ContainerRegistry(OpenContainer open_container, GroupKind kind) : open_container_(open_container), kind_(kind) {}

  struct Share {
    std::shared_ptr<GroupContainer> container;
    Descriptor device;
  };

  /// Opens `device`, and its group and the container if they are not open yet. A failed call changes nothing. Error
  /// `busy` for a device that is already open in this Context, because the kernel would allow a second open. Other
  /// errors: those of the container and of Group.
  [[nodiscard]] Result<Share> acquire(ContextState& context, const Host& host, const pci::DeviceInfo& device,
                                      const std::string& token);
  /// Call once for each `acquire`, after the device's descriptor was closed. The last call unmaps all memory and closes
  /// the container.
  void release(ContextState& context, std::uint32_t group, pci::Address device);

 private:
  struct OpenGroup {
    explicit OpenGroup(Group opened) : group(std::move(opened)) {}
    Group group;
    std::set<pci::Address> devices;
    std::shared_ptr<DmaDomain> narrowed;  // set if this group reduced the usable IOVA ranges
  };

  [[nodiscard]] Result<void> open_first_group(ContextState& context, const Host& host, const pci::DeviceInfo& device);
  [[nodiscard]] Result<void> open_another_group(ContextState& context, const Host& host, const pci::DeviceInfo& device);
  void close_group(ContextState& context, std::uint32_t number);

  OpenContainer open_container_;
  GroupKind kind_;
  std::mutex mutex_;
  std::shared_ptr<GroupContainer> container_;
  std::map<std::uint32_t, OpenGroup> groups_;
};

}  // namespace pollux::vfio
