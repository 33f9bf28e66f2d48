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

/// A container and the groups that a Context has open in it, each with the devices that need it.
/// Thread rule: any thread. It takes the Context's lock inside its own, never the other way round.
class ContainerRegistry {
 public:
  using OpenContainer = Result<std::shared_ptr<GroupContainer>> (*)(const Host& host);
  ContainerRegistry(OpenContainer open_container, GroupKind kind) : open_container_(open_container), kind_(kind) {}

  struct Share {
    std::shared_ptr<GroupContainer> container;
    Descriptor device;
  };

  /// Opens what is not open yet. What fails leaves everything as it was. Error `busy` for a device that is open in this
  /// Context, which the kernel would open once more; else those of the container and of Group.
  [[nodiscard]] Result<Share> acquire(ContextState& context, const Host& host, const pci::DeviceInfo& device);
  /// For each `acquire`, after the device's descriptor was closed. The last one unmaps everything and closes all.
  void release(ContextState& context, std::uint32_t group, pci::Address device);

 private:
  struct OpenGroup {
    explicit OpenGroup(Group opened) : group(std::move(opened)) {}
    Group group;
    std::set<pci::Address> devices;
    std::shared_ptr<DmaDomain> limits;  // set where it reaches less than the groups before it
  };

  [[nodiscard]] Result<void> open_first(ContextState& context, const Host& host, const pci::DeviceInfo& device);
  [[nodiscard]] Result<void> open_further(ContextState& context, const Host& host, const pci::DeviceInfo& device);
  void close_group(ContextState& context, std::uint32_t number);

  OpenContainer open_container_;
  GroupKind kind_;
  std::mutex mutex_;
  std::shared_ptr<GroupContainer> container_;
  std::map<std::uint32_t, OpenGroup> groups_;
};

}  // namespace pollux::vfio
