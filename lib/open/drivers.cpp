// SPDX-License-Identifier: BSD-3-Clause
#include "open/drivers.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "drivers/intel/igb/probe.hpp"
#include "drivers/intel/igbvf/probe.hpp"
#include "hw/intel/igb/ids.hpp"
#include "hw/intel/igbvf/ids.hpp"

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

template <class Ids>
std::vector<std::string> list_cards(std::uint16_t vendor, const Ids& ids) {
  std::vector<std::string> cards;
  for (const auto& card : ids) cards.push_back(fmt::format("{:04x}:{:04x} {}", vendor, card.id, card.name));
  return cards;
}

bool igb_knows(const PciIdentity& card) { return hw::igb::find_device(card.vendor, card.device) != nullptr; }

std::vector<std::string> igb_cards() { return list_cards(hw::igb::kVendorId, hw::igb::kDeviceIds); }

bool igbvf_knows(const PciIdentity& card) { return hw::igbvf::find_device(card.vendor, card.device) != nullptr; }

std::vector<std::string> igbvf_cards() { return list_cards(hw::igbvf::kVendorId, hw::igbvf::kDeviceIds); }

constexpr std::array kDrivers{
    Driver{"igb", igb_knows, igb_cards, drivers::igb::probe},
    Driver{"igbvf", igbvf_knows, igbvf_cards, drivers::igbvf::probe},
};

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
              "supported: " + supported_cards());
}

}  // namespace pollux
