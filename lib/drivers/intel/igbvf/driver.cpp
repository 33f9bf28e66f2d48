// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igbvf/driver.hpp"

#include <string>
#include <utility>

#include <fmt/format.h>

#include "drivers/intel/igbvf/port.hpp"

namespace pollux::drivers::igbvf {

CardDriver driver() {
  CardDriver row{.name = "igbvf", .cards = {}, .probe = probe};
  for (const hw::igbvf::CardTraits& card : hw::igbvf::kCards) {
    if (card.subsystem != hw::intel::Subsystem{}) continue;  // the id has a row without one
    row.cards.push_back({.vendor = hw::igbvf::kVendorId, .device = card.id, .name = std::string(card.name)});
  }
  return row;
}

Result<std::unique_ptr<PortDriver>> probe(Context& context, std::unique_ptr<Device> device) {
  const PciIdentity card = device->identity();
  const hw::igbvf::CardTraits* const traits = hw::igbvf::find_card(card);
  if (traits != nullptr) return IgbvfPort::open(context.state(), *traits, std::move(device));
  return fail(
      ErrorCode::not_supported,
      fmt::format("{}: {:04x}:{:04x} is not a virtual function of an 82576", device->name(), card.vendor, card.device),
      "use a card that the igbvf driver knows");
}

}  // namespace pollux::drivers::igbvf
