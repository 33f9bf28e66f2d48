// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/e1000e/driver.hpp"

#include <utility>

#include "drivers/intel/common/card_rows.hpp"
#include "drivers/intel/e1000e/port.hpp"

namespace pollux::drivers::e1000e {
namespace {

// https://github.com/ipxe/ipxe/issues/1731
constexpr const char* kNotDriven =
    "Ethernet of Intel's chipsets (PCH) shares its PHY with firmware, and may hang after a change of drivers "
    "(ipxe issue 1731); use the kernel's driver and xdp:";

const char* not_driven(const hw::e1000e::CardTraits& card) { return card.driven ? "" : kNotDriven; }

}  // namespace

CardDriver driver() {
  return {.name = "e1000e", .cards = intel::known_cards(hw::e1000e::kCards, not_driven), .probe = probe};
}

Result<std::unique_ptr<PortDriver>> probe(Context& context, std::unique_ptr<Device> device) {
  const auto card = intel::find_driven(hw::e1000e::kCards, *device, "e1000e", not_driven);
  if (!card) return tl::unexpected<Error>(card.error());
  return E1000ePort::open(context.state(), **card, std::move(device));
}

}  // namespace pollux::drivers::e1000e
