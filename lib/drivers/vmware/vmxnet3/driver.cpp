// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/vmware/vmxnet3/driver.hpp"

#include <string>
#include <utility>

#include "drivers/vmware/vmxnet3/port.hpp"
#include "hw/vmware/vmxnet3/ids.hpp"

namespace pollux::drivers::vmxnet3 {

CardDriver driver() {
  using namespace hw::vmxnet3;
  return {
      .name = "vmxnet3",
      .cards = {{.vendor = kVendorId, .device = kDeviceId, .name = std::string(kName)},
                {.vendor = kVendorId,
                 .device = kOldDeviceId,
                 .name = std::string(kOldName),
                 .not_driven = "it is older than vmxnet3 and has other rings; give the virtual machine an adapter of "
                               "type VMXNET3 (ethernet0.virtualDev = \"vmxnet3\")"}},
      .probe = [](Context& context, std::unique_ptr<Device> device) {
        return Vmxnet3Port::open(context.state(), std::move(device));
      }};
}

}  // namespace pollux::drivers::vmxnet3
