// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/probe.hpp"

#include <utility>

#include <fmt/format.h>

#include "drivers/intel/igb/port.hpp"
#include "hw/intel/igb/ids.hpp"

namespace pollux::drivers::igb {

Result<std::unique_ptr<PortDriver>> probe(Context& context, std::unique_ptr<Device> device) {
  const PciIdentity identity = device->identity();
  const hw::igb::DeviceId* const card = hw::igb::find_device(identity.vendor, identity.device);
  if (card == nullptr) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: {:04x}:{:04x} is not an 82576", device->name(), identity.vendor, identity.device),
                "use a card that the igb driver knows");
  }
  if (card->media != hw::igb::Media::copper) {
    return fail(ErrorCode::not_supported, fmt::format("{}: {} ports are not driven", device->name(), card->name),
                "only ports with the internal copper PHY are driven; SerDes and fiber ports are not");
  }
  return Port::open(context.state(), std::move(device));
}

}  // namespace pollux::drivers::igb
