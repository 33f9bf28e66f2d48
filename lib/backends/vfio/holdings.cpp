// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/holdings.hpp"

#include <algorithm>

#include "mem/context_state.hpp"

namespace pollux::vfio {
namespace {

/// A domain's addresses are constant while it is attached, but each group that joins a container may reach less. This
/// says so to the Context beside the container and maps nothing by itself.
class GroupLimits final : public DmaDomain {
 public:
  explicit GroupLimits(std::vector<IovaRange> ranges) : ranges_(std::move(ranges)) {}
  std::string_view name() const override { return "VFIO group limits"; }
  std::vector<IovaRange> usable_iova() const override { return ranges_; }
  Result<void> map(const DmaSegment&) override { return {}; }
  Result<void> unmap(const DmaSegment&) override { return {}; }

 private:
  std::vector<IovaRange> ranges_;
};

bool same(const std::vector<IovaRange>& one, const std::vector<IovaRange>& other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](const IovaRange& a, const IovaRange& b) { return a.first == b.first && a.last == b.last; });
}

}  // namespace

Result<Holdings::Share> Holdings::acquire(ContextState& context, const Host& host, const pci::DeviceInfo& device) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t number = *device.iommu_group;
  if (!groups_.contains(number)) {
    auto opened = container_ == nullptr ? open_first(context, host, device) : open_further(context, host, device);
    if (!opened) return pass_on(std::move(opened));
  }
  OpenGroup& open = groups_.at(number);
  auto descriptor = open.group.open_device(device.address);
  if (!descriptor) {
    if (open.devices == 0) close_group(context, number);
    return pass_on(std::move(descriptor));
  }
  ++open.devices;
  return Share{container_, std::move(*descriptor)};
}

void Holdings::release(ContextState& context, std::uint32_t group) {
  const std::lock_guard lock(mutex_);
  if (--groups_.at(group).devices == 0) close_group(context, group);
}

Result<void> Holdings::open_first(ContextState& context, const Host& host, const pci::DeviceInfo& device) {
  auto container = Container::open(host);
  if (!container) return pass_on(std::move(container));
  auto group = Group::open(host, device);
  if (!group) return pass_on(std::move(group));
  if (auto joined = group->join(**container); !joined) return joined;
  if (auto set = (*container)->set_iommu(); !set) return set;
  if (auto attached = context.attach(*container); !attached) return attached;
  container_ = std::move(*container);
  groups_.emplace(group->number(), OpenGroup(std::move(*group)));
  return {};
}

Result<void> Holdings::open_further(ContextState& context, const Host& host, const pci::DeviceInfo& device) {
  auto group = Group::open(host, device);
  if (!group) return pass_on(std::move(group));
  if (auto joined = group->join(*container_); !joined) return joined;
  OpenGroup open(std::move(*group));
  auto info = container_->read_info();
  if (!info) return pass_on(std::move(info));
  if (!same(info->ranges, container_->usable_iova())) {
    open.limits = std::make_shared<GroupLimits>(std::move(info->ranges));
    if (auto attached = context.attach(open.limits); !attached) return attached;
  }
  groups_.emplace(open.group.number(), std::move(open));
  return {};
}

void Holdings::close_group(ContextState& context, std::uint32_t number) {
  const auto found = groups_.find(number);
  if (found->second.limits != nullptr) context.detach(*found->second.limits);
  // Mappings go while a group still holds the IOMMU: with the last group the kernel drops the address space.
  if (groups_.size() == 1) context.detach(*container_);
  groups_.erase(found);
  if (groups_.empty()) container_.reset();
}

}  // namespace pollux::vfio
