// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/group_access.hpp"

#include <fmt/format.h>

#include <atomic>

#include "backends/vfio/container.hpp"
#include "backends/vfio/container_registry.hpp"
#include "backends/vfio/no_iommu_container.hpp"

namespace pollux::vfio {
namespace {

class GroupAccess final : public DeviceAccess {
 public:
  GroupAccess(std::shared_ptr<ContextState> context, ContainerRegistry& registry,
              std::shared_ptr<GroupContainer> container, std::uint32_t group, pci::Address device)
      : context_(std::move(context)),
        registry_(&registry),
        container_(std::move(container)),
        group_(group),
        device_(device) {}
  ~GroupAccess() override {
    // Drops this reference first, because the registry must be the last owner: it closes the container after the last
    // group.
    container_.reset();
    registry_->release(*context_, group_, device_);
  }
  DmaDomain& dma_domain() override { return *container_; }

 private:
  std::shared_ptr<ContextState> context_;  // keeps `registry_` alive
  ContainerRegistry* registry_;
  std::shared_ptr<GroupContainer> container_;
  std::uint32_t group_;
  pci::Address device_;
};

// These are two types, because a Context has one service of each type.
struct TypeOneRegistry : ContainerRegistry {
  TypeOneRegistry() : ContainerRegistry(Container::open, GroupKind::behind_iommu) {}
};
struct NoIommuRegistry : ContainerRegistry {
  NoIommuRegistry() : ContainerRegistry(NoIommuContainer::open, GroupKind::without_iommu) {}
  std::atomic<bool> warned{false};
};

Result<OpenedDevice> open_group(Context& context, ContainerRegistry& registry, const Host& host,
                                const pci::DeviceInfo& device, const std::string& token) {
  auto share = registry.acquire(*context.state(), host, device, token);
  if (!share) return pass_on(std::move(share));
  auto access = std::make_unique<GroupAccess>(context.state(), registry, std::move(share->container),
                                              *device.iommu_group, device.address);
  return OpenedDevice{std::move(access), std::move(share->device)};
}

}  // namespace

Result<OpenedDevice> open_through_group(Context& context, const Host& host, const pci::DeviceInfo& device,
                                        const std::string& token) {
  return open_group(context, context.service<TypeOneRegistry>(), host, device, token);
}

Result<OpenedDevice> open_without_iommu(Context& context, const Host& host, const pci::DeviceInfo& device) {
  auto& registry = context.service<NoIommuRegistry>();
  auto opened = open_group(context, registry, host, device, {});
  if (opened && !registry.warned.exchange(true)) {
    context.log(LogLevel::warning,
                fmt::format("{} is used without an IOMMU: the card, or a bug in the program that gives it addresses, "
                            "can read and overwrite any memory of this machine, the kernel's included; the kernel is "
                            "now tainted (reported once)",
                            device.address.to_string()));
  }
  return opened;
}

}  // namespace pollux::vfio
