// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/e1000e/driver.hpp"

#include <string>
#include <utility>

#include <fmt/format.h>

#include "drivers/intel/e1000e/port.hpp"

namespace pollux::drivers::e1000e {
namespace {

// https://github.com/ipxe/ipxe/issues/1731
constexpr const char* kNotDriven =
    "Ethernet of Intel's chipsets (PCH) shares its PHY with firmware, and may hang after a change of drivers "
    "(ipxe issue 1731); use the kernel's driver and xdp:";

}  // namespace

CardDriver driver() {
  CardDriver row{.name = "e1000e", .cards = {}, .probe = probe};
  for (const hw::e1000e::CardTraits& card : hw::e1000e::kCards) {
    if (card.subsystem != hw::intel::Subsystem{}) continue;  // the id has a row without one
    row.cards.push_back({.vendor = hw::e1000e::kVendorId,
                         .device = card.id,
                         .name = std::string(card.name),
                         .not_driven = card.driven ? "" : kNotDriven});
  }
  return row;
}

Result<std::unique_ptr<PortDriver>> probe(Context& context, std::unique_ptr<Device> device) {
  const PciIdentity identity = device->identity();
  const hw::e1000e::CardTraits* const card = hw::e1000e::find_card(identity);
  if (card == nullptr) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: {:04x}:{:04x} is not an 82574", device->name(), identity.vendor, identity.device),
                "use a card that the e1000e driver knows");
  }
  if (!card->driven) {
    return fail(ErrorCode::not_supported, fmt::format("{}: an {} is not driven", device->name(), card->name),
                kNotDriven);
  }
  return E1000ePort::open(context.state(), *card, std::move(device));
}

}  // namespace pollux::drivers::e1000e
