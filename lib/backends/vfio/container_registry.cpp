// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/container_registry.hpp"

#include <fmt/format.h>

#include "backends/vfio/narrowed_iova_ranges.hpp"
#include "mem/context_state.hpp"

namespace pollux::vfio {

Result<ContainerRegistry::Share> ContainerRegistry::acquire(ContextState& context, const Host& host,
                                                            const pci::DeviceInfo& device, const std::string& token) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t number = *device.iommu_group;
  if (!groups_.contains(number)) {
    auto opened =
        container_ == nullptr ? open_first_group(context, host, device) : open_another_group(context, host, device);
    if (!opened) return pass_on(std::move(opened));
  }
  OpenGroup& open = groups_.at(number);
  if (open.devices.contains(device.address)) {
    return fail(ErrorCode::busy, fmt::format("{} is already open in this Context", device.address.to_string()),
                "use the open port, or close it first");
  }
  auto descriptor = open.group.open_device(device.address, token);
  if (!descriptor) {
    if (open.devices.empty()) close_group(context, number);
    return pass_on(std::move(descriptor));
  }
  open.devices.insert(device.address);
  return Share{container_, std::move(*descriptor)};
}

void ContainerRegistry::release(ContextState& context, std::uint32_t group, pci::Address device) {
  const std::lock_guard lock(mutex_);
  std::set<pci::Address>& devices = groups_.at(group).devices;
  devices.erase(device);
  if (devices.empty()) close_group(context, group);
}

Result<void> ContainerRegistry::open_first_group(ContextState& context, const Host& host,
                                                 const pci::DeviceInfo& device) {
  auto container = open_container_(host);
  if (!container) return pass_on(std::move(container));
  auto group = Group::open(host, device, kind_);
  if (!group) return pass_on(std::move(group));
  if (auto joined = group->join(**container); !joined) return joined;
  if (auto set = (*container)->set_iommu(); !set) return set;
  if (auto attached = context.attach(*container); !attached) return attached;
  container_ = std::move(*container);
  groups_.emplace(group->number(), OpenGroup(std::move(*group)));
  return {};
}

Result<void> ContainerRegistry::open_another_group(ContextState& context, const Host& host,
                                                   const pci::DeviceInfo& device) {
  auto group = Group::open(host, device, kind_);
  if (!group) return pass_on(std::move(group));
  if (auto joined = group->join(*container_); !joined) return joined;
  OpenGroup open(std::move(*group));
  auto ranges = container_->read_usable_iova();
  if (!ranges) return pass_on(std::move(ranges));
  if (!same_ranges(*ranges, container_->usable_iova())) {
    open.narrowed = std::make_shared<NarrowedIovaRanges>(*std::move(ranges));
    if (auto attached = context.attach(open.narrowed); !attached) return attached;
  }
  groups_.emplace(open.group.number(), std::move(open));
  return {};
}

void ContainerRegistry::close_group(ContextState& context, std::uint32_t number) {
  const auto found = groups_.find(number);
  if (found->second.narrowed != nullptr) context.detach(*found->second.narrowed);
  // Unmap while a group is still in the container: the kernel drops the address space together with the last group.
  if (groups_.size() == 1) context.detach(*container_);
  groups_.erase(found);
  if (groups_.empty()) container_.reset();
}

}  // namespace pollux::vfio
