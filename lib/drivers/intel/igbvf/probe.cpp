// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igbvf/probe.hpp"

#include <utility>

#include <fmt/format.h>

#include "drivers/intel/igbvf/port.hpp"
#include "hw/intel/igbvf/ids.hpp"

namespace pollux::drivers::igbvf {

Result<std::unique_ptr<PortDriver>> probe(Context& context, std::unique_ptr<Device> device) {
  const PciIdentity identity = device->identity();
  if (hw::igbvf::find_device(identity.vendor, identity.device) == nullptr) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: {:04x}:{:04x} is not a virtual function of an 82576", device->name(), identity.vendor,
                            identity.device),
                "use a card that the igbvf driver knows");
  }
  return Port::open(context.state(), std::move(device));
}

}  // namespace pollux::drivers::igbvf
