// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/device/device_model.hpp"
#include "pollux/device/record.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux {

/// A kind of card, by its PCI identity.
struct KnownCard {
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::string name;             ///< "82576"
  std::string not_driven = {};  ///< why it is known, and yet not driven; empty: it is driven
};

/// All that the library knows of a driver: one row.
struct CardDriver {
  std::string name;  ///< "igb"
  std::vector<KnownCard> cards;
  /// Takes over a card whose identity is one of `cards`, and is driven. The port is in state `opened`. The device is
  /// handed back on error. Thread rule: any thread.
  std::function<Result<std::unique_ptr<PortDriver>>(Context& context, std::unique_ptr<Device> device)> probe;
  /// What record and replay have to know of the cards; nullptr: they cannot be recorded. Outlives every Context.
  const CardLayout* layout = nullptr;
};

/// A card as software that `sim:` URIs can have: `sim:0?card=NAME`.
struct CardModel {
  std::string name;  ///< lower-case letters, digits and "-"
  /// Makes the card behind `sim:number`. Thread rule: any thread.
  std::function<std::unique_ptr<DeviceModel>(unsigned number)> make;
};

}  // namespace pollux
