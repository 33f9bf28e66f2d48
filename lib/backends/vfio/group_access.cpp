// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/group_access.hpp"

#include <fmt/format.h>

#include <atomic>

#include "backends/vfio/container.hpp"
#include "backends/vfio/holdings.hpp"
#include "backends/vfio/no_iommu_container.hpp"

namespace pollux::vfio {
namespace {

class GroupAccess final : public DeviceAccess {
 public:
  GroupAccess(std::shared_ptr<ContextState> context, Holdings& holdings, std::shared_ptr<GroupContainer> container,
              std::uint32_t group, pci::Address device)
      : context_(std::move(context)),
        holdings_(&holdings),
        container_(std::move(container)),
        group_(group),
        device_(device) {}
  ~GroupAccess() override {
    // The container's last owner is to be `holdings_`, which closes it after its last group.
    container_.reset();
    holdings_->release(*context_, group_, device_);
  }
  DmaDomain& dma_domain() override { return *container_; }

 private:
  std::shared_ptr<ContextState> context_;  // keeps `holdings_` alive
  Holdings* holdings_;
  std::shared_ptr<GroupContainer> container_;
  std::uint32_t group_;
  pci::Address device_;
};

// A type each, since a Context keeps one service of a type.
struct TypeOneHoldings : Holdings {
  TypeOneHoldings() : Holdings(Container::open, GroupKind::behind_iommu) {}
};
struct NoIommuHoldings : Holdings {
  NoIommuHoldings() : Holdings(NoIommuContainer::open, GroupKind::without_iommu) {}
  std::atomic<bool> warned{false};
};

Result<OpenedDevice> open_group(Context& context, Holdings& holdings, const Host& host, const pci::DeviceInfo& device) {
  auto share = holdings.acquire(*context.state(), host, device);
  if (!share) return pass_on(std::move(share));
  auto access = std::make_unique<GroupAccess>(context.state(), holdings, std::move(share->container),
                                              *device.iommu_group, device.address);
  return OpenedDevice{std::move(access), std::move(share->device)};
}

}  // namespace

Result<OpenedDevice> open_through_group(Context& context, const Host& host, const pci::DeviceInfo& device) {
  return open_group(context, context.service<TypeOneHoldings>(), host, device);
}

Result<OpenedDevice> open_without_iommu(Context& context, const Host& host, const pci::DeviceInfo& device) {
  auto& holdings = context.service<NoIommuHoldings>();
  auto opened = open_group(context, holdings, host, device);
  if (opened && !holdings.warned.exchange(true)) {
    context.log(LogLevel::warning,
                fmt::format("{} is used without an IOMMU: nothing keeps the card, or a bug in what tells it addresses, "
                            "from reading and overwriting any memory of this machine, the kernel's included; the "
                            "kernel is tainted by it (said once)",
                            device.address.to_string()));
  }
  return opened;
}

}  // namespace pollux::vfio
