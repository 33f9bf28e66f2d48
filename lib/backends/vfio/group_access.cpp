// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/group_access.hpp"

#include "backends/vfio/holdings.hpp"

namespace pollux::vfio {
namespace {

class GroupAccess final : public DeviceAccess {
 public:
  GroupAccess(std::shared_ptr<ContextState> context, Holdings& holdings, std::shared_ptr<Container> container,
              std::uint32_t group)
      : context_(std::move(context)), holdings_(&holdings), container_(std::move(container)), group_(group) {}
  ~GroupAccess() override {
    // The container's last owner is to be `holdings_`, which closes it after its last group.
    container_.reset();
    holdings_->release(*context_, group_);
  }
  DmaDomain& dma_domain() override { return *container_; }

 private:
  std::shared_ptr<ContextState> context_;  // keeps `holdings_` alive
  Holdings* holdings_;
  std::shared_ptr<Container> container_;
  std::uint32_t group_;
};

}  // namespace

Result<OpenedDevice> open_through_group(Context& context, const Host& host, const pci::DeviceInfo& device) {
  auto& holdings = context.service<Holdings>();
  auto share = holdings.acquire(*context.state(), host, device);
  if (!share) return pass_on(std::move(share));
  auto access =
      std::make_unique<GroupAccess>(context.state(), holdings, std::move(share->container), *device.iommu_group);
  return OpenedDevice{std::move(access), std::move(share->device)};
}

}  // namespace pollux::vfio
