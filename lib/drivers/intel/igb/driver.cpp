// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/driver.hpp"

#include <string>
#include <utility>

#include <fmt/format.h>

#include "drivers/intel/igb/port.hpp"
#include "hw/intel/igb/ids.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr const char* kNotDriven = "only ports with the internal copper PHY are driven; SerDes and fiber ports are not";

}  // namespace

CardDriver driver() {
  CardDriver row{.name = "igb", .cards = {}, .probe = probe, .layout = &card_layout()};
  for (const hw::igb::CardTraits& card : hw::igb::kCards) {
    if (card.subsystem != hw::intel::Subsystem{}) continue;  // the id has a row without one
    row.cards.push_back({.vendor = hw::igb::kVendorId,
                         .device = card.id,
                         .name = std::string(card.name),
                         .not_driven = card.media == hw::igb::Media::copper ? "" : kNotDriven});
  }
  return row;
}

Result<std::unique_ptr<PortDriver>> probe(Context& context, std::unique_ptr<Device> device) {
  const PciIdentity identity = device->identity();
  const hw::igb::CardTraits* const card = hw::igb::find_card(identity);
  if (card == nullptr) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: {:04x}:{:04x} is not an 82576", device->name(), identity.vendor, identity.device),
                "use a card that the igb driver knows");
  }
  if (card->media != hw::igb::Media::copper) {
    return fail(ErrorCode::not_supported, fmt::format("{}: {} ports are not driven", device->name(), card->name),
                kNotDriven);
  }
  return IgbPort::open(context.state(), *card, std::move(device));
}

}  // namespace pollux::drivers::igb
