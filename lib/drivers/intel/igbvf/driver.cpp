// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igbvf/driver.hpp"

#include <utility>

#include "drivers/intel/common/card_rows.hpp"
#include "drivers/intel/igbvf/port.hpp"

namespace pollux::drivers::igbvf {
namespace {

const char* not_driven(const hw::igbvf::CardTraits& /*card*/) { return ""; }

}  // namespace

CardDriver driver() {
  return {.name = "igbvf", .cards = intel::known_cards(hw::igbvf::kCards, not_driven), .probe = probe};
}

Result<std::unique_ptr<PortDriver>> probe(Context& context, std::unique_ptr<Device> device) {
  const auto card = intel::find_driven(hw::igbvf::kCards, *device, "igbvf", not_driven);
  if (!card) return tl::unexpected<Error>(card.error());
  return IgbvfPort::open(context.state(), **card, std::move(device));
}

}  // namespace pollux::drivers::igbvf
