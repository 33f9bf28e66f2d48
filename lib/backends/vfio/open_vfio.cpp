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

// IOMMUFD first: kernel development continues there, it has no limit on mappings, and each device of a group is opened
// on its own. The group is tried next, for a user who was given access to the group alone.
Result<OpenedDevice> open_automatically(Context& context, const Host& host, const pci::DeviceInfo& device,
                                        const std::string& token) {
  if (!token.empty()) return open_through_group(context, host, device, token);
  const bool has_iommufd = pci::sysfs::exists(host.paths.dev / "iommu") && device_node(host, device).has_value();
  if (!has_iommufd) return open_through_group(context, host, device, {});
  auto opened = open_through_iommufd(context, host, device);
  const bool has_group = pci::sysfs::exists(group_node(host, *device.iommu_group));
  if (opened || opened.error().code != ErrorCode::permission_denied || !has_group) return opened;
  return open_through_group(context, host, device, {});
}

Result<OpenedDevice> open_device(const VfioUri& uri, Context& context, const Host& host,
                                 const pci::DeviceInfo& device) {
  const AccessMode mode = uri.mode;
  if (mode == AccessMode::no_iommu) {
    if (auto ready = check_ready_without_iommu(host, device); !ready) return pass_on(std::move(ready));
    return open_without_iommu(context, host, device);
  }
  if (auto ready = check_ready(host, device); !ready) return pass_on(std::move(ready));
  switch (mode) {
    case AccessMode::iommufd: return open_through_iommufd(context, host, device);
    case AccessMode::group: return open_through_group(context, host, device, uri.token);
    default: return open_automatically(context, host, device, uri.token);
  }
}

}  // namespace

Result<std::unique_ptr<Device>> open_vfio(Context& context, std::string_view uri) {
  return open_vfio(context, uri, {system_kernel(), {}});
}

Result<std::unique_ptr<Device>> open_vfio(Context& context, std::string_view uri, const Host& host) {
  auto parsed = parse_uri(uri);
  if (!parsed) return pass_on(std::move(parsed));
  auto info = pci::read_device(host.paths, parsed->address);
  if (!info) return pass_on(std::move(info));
  auto opened = open_device(*parsed, context, host, *info);
  if (!opened) return pass_on(std::move(opened));
  return VfioDevice::create(context.clock(), *info, std::move(*opened), host.paths);
}

}  // namespace pollux::vfio
