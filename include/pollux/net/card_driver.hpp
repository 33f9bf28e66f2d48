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
  /// As in its configuration space.
  ///@{
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  ///@}
  std::string name;             ///< as its maker calls it
  std::string not_driven = {};  ///< why the library knows the card but does not drive it; empty: it is driven
};

/// Describes a driver to the library.
struct CardDriver {
  std::string name;              ///< as in Linux, if it has one
  std::vector<KnownCard> cards;  ///< those that it drives, and those that it only knows
  /// Starts to drive a card whose identity is one of `cards` and whose `not_driven` is empty. The port is in state
  /// `opened`. On error the device is released.
  /// Thread rule: any thread.
  std::function<Result<std::unique_ptr<PortDriver>>(Context& context, std::unique_ptr<Device> device)> probe;
  /// The card's layout for record and replay; nullptr: its cards cannot be recorded. Outlives every Context.
  const CardLayout* layout = nullptr;
};

/// A card in software for `sim:` URIs: `sim:0?card=NAME`.
struct CardModel {
  std::string name;  ///< lower-case letters, digits and "-"
  /// Creates the card for `sim:number`.
  /// Thread rule: any thread.
  std::function<std::unique_ptr<DeviceModel>(unsigned number)> make;
};

}  // namespace pollux
