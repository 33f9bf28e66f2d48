// SPDX-License-Identifier: BSD-3-Clause
#include "open/drivers.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "drivers/intel/igb/probe.hpp"
#include "hw/intel/igb/ids.hpp"

namespace pollux {
namespace {

/// A driver, and the cards it knows. Listed by name, so that a static library never drops one.
struct Driver {
  std::string_view name;
  bool (*knows)(const PciIdentity& card);
  /// Its cards, such as "8086:10c9 82576".
  std::vector<std::string> (*cards)();
  Result<std::unique_ptr<PortDriver>> (*probe)(Context& context, std::unique_ptr<Device> device);
};

bool igb_knows(const PciIdentity& card) { return hw::igb::find_device(card.vendor, card.device) != nullptr; }

std::vector<std::string> igb_cards() {
  std::vector<std::string> cards;
  for (const hw::igb::DeviceId& card : hw::igb::kDeviceIds) {
    cards.push_back(fmt::format("{:04x}:{:04x} {}", hw::igb::kVendorId, card.id, card.name));
  }
  return cards;
}

constexpr std::array kDrivers{
    Driver{"igb", igb_knows, igb_cards, drivers::igb::probe},
};

/// A card that looks supported at first sight deserves a better hint than the list.
std::string hint_for(const PciIdentity& card) {
  if (card.vendor == hw::igb::kVendorId && card.device == hw::igb::kVirtualFunctionId) {
    return "this is a virtual function of an 82576; open its physical function";
  }
  return "supported: " + supported_cards();
}

}  // namespace

std::string supported_cards() {
  std::vector<std::string> drivers;
  for (const Driver& driver : kDrivers) {
    drivers.push_back(fmt::format("{} ({})", driver.name, fmt::join(driver.cards(), ", ")));
  }
  return fmt::format("{}", fmt::join(drivers, "; "));
}

Result<std::unique_ptr<PortDriver>> probe_driver(Context& context, std::unique_ptr<Device> device) {
  const PciIdentity card = device->identity();
  for (const Driver& driver : kDrivers) {
    if (driver.knows(card)) return driver.probe(context, std::move(device));
  }
  return fail(ErrorCode::not_supported,
              fmt::format("{}: no driver knows the card {:04x}:{:04x}", device->name(), card.vendor, card.device),
              hint_for(card));
}

}  // namespace pollux
