// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/open_vfio.hpp"

#include "backends/vfio/group_access.hpp"
#include "backends/vfio/iommufd_access.hpp"
#include "backends/vfio/preflight.hpp"
#include "backends/vfio/uri.hpp"
#include "backends/vfio/vfio_device.hpp"
#include "pci/sysfs.hpp"
#include "pollux/pci/device_info.hpp"

namespace pollux::vfio {
namespace {

// IOMMUFD first: it is where the kernel's development goes on, it has no limit on mappings, and a device is opened by
// itself, whatever else of its group is. A user to whom only the group was handed still gets in.
Result<OpenedDevice> open_through_either(Context& context, const Host& host, const pci::DeviceInfo& device) {
  const bool has_iommufd = pci::sysfs::exists(host.paths.dev / "iommu") && device_node(host, device).has_value();
  if (!has_iommufd) return open_through_group(context, host, device);
  auto opened = open_through_iommufd(context, host, device);
  const bool has_group = pci::sysfs::exists(group_node(host, *device.iommu_group));
  if (opened || opened.error().code != ErrorCode::permission_denied || !has_group) return opened;
  return open_through_group(context, host, device);
}

Result<OpenedDevice> open_through(Way way, Context& context, const Host& host, const pci::DeviceInfo& device) {
  if (way == Way::no_iommu) {
    if (auto ready = check_ready_without_iommu(host, device); !ready) return pass_on(std::move(ready));
    return open_without_iommu(context, host, device);
  }
  if (auto ready = check_ready(host, device); !ready) return pass_on(std::move(ready));
  switch (way) {
    case Way::iommufd: return open_through_iommufd(context, host, device);
    case Way::group: return open_through_group(context, host, device);
    default: return open_through_either(context, host, device);
  }
}

}  // namespace

Result<std::unique_ptr<Device>> open_vfio(Context& context, std::string_view which) {
  return open_vfio(context, which, {system_kernel(), {}});
}

Result<std::unique_ptr<Device>> open_vfio(Context& context, std::string_view which, const Host& host) {
  auto parsed = parse_which(which);
  if (!parsed) return pass_on(std::move(parsed));
  auto info = pci::read_device(host.paths, parsed->address);
  if (!info) return pass_on(std::move(info));
  auto opened = open_through(parsed->way, context, host, *info);
  if (!opened) return pass_on(std::move(opened));
  return VfioDevice::create(context.clock(), *info, std::move(*opened));
}

}  // namespace pollux::vfio
