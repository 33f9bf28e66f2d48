// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/virtio/net/driver.hpp"

#include <string>
#include <utility>

#include "drivers/virtio/net/port.hpp"
#include "hw/virtio/ids.hpp"

namespace pollux::drivers::virtio {

CardDriver driver() {
  const std::string name(hw::virtio::kNetName);
  return {.name = "virtio_net",
          .cards = {{.vendor = hw::virtio::kVendorId, .device = hw::virtio::kNetDeviceId, .name = name},
                    {.vendor = hw::virtio::kVendorId, .device = hw::virtio::kTransitionalNetDeviceId, .name = name}},
          .probe = probe};
}

Result<std::unique_ptr<PortDriver>> probe(Context& context, std::unique_ptr<Device> device) {
  return VirtioNetPort::open(context.state(), std::move(device));
}

}  // namespace pollux::drivers::virtio
