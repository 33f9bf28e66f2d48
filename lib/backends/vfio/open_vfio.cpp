// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/open_vfio.hpp"

#include "backends/vfio/group_access.hpp"
#include "backends/vfio/preflight.hpp"
#include "backends/vfio/vfio_device.hpp"
#include "pollux/pci/device_info.hpp"

namespace pollux::vfio {

Result<std::unique_ptr<Device>> open_vfio(Context& context, std::string_view pci_address) {
  return open_vfio(context, pci_address, {system_kernel(), {}});
}

Result<std::unique_ptr<Device>> open_vfio(Context& context, std::string_view pci_address, const Host& host) {
  auto address = pci::Address::parse(pci_address);
  if (!address) return pass_on(std::move(address));
  auto info = pci::read_device(host.paths, *address);
  if (!info) return pass_on(std::move(info));
  if (auto ready = check_ready(host, *info); !ready) return pass_on(std::move(ready));
  auto opened = open_through_group(context, host, *info);
  if (!opened) return pass_on(std::move(opened));
  return VfioDevice::create(context.clock(), *info, std::move(*opened));
}

}  // namespace pollux::vfio
