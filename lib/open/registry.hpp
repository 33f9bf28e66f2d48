// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/card_driver.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux {

/// The drivers and in-process cards of a Context: the built-in ones and those that the program added. The last one
/// added has priority. Thread rule: any thread.
class Registry {
 public:
  Registry();

  [[nodiscard]] Result<void> add(CardDriver driver);
  [[nodiscard]] Result<void> add(CardModel model);

  struct Found {
    const CardDriver* driver;
    const KnownCard* card;
  };
  /// The driver that knows `card`. The pointers are valid as long as the registry.
  [[nodiscard]] std::optional<Found> find(const PciIdentity& card) const;
  /// An empty name finds the last built-in card. Error: invalid_argument if there is no card of that name; the hint
  /// lists the names.
  [[nodiscard]] Result<const CardModel*> find_model(std::string_view name) const;
  /// The layout that record and replay need for a card; nullptr if the card cannot be recorded.
  [[nodiscard]] const CardLayout* find_layout(const PciIdentity& card) const;

  [[nodiscard]] std::vector<const CardDriver*> drivers() const;
  /// The drivers and the cards that they support, for a hint: "igb (8086:10c9 82576, ...); ...".
  [[nodiscard]] std::string describe() const;

 private:
  mutable std::mutex mutex_;
  // A deque, because its elements never move.
  std::deque<CardDriver> drivers_;
  std::deque<CardModel> models_;
};

/// Probes the device with the driver of the Context that knows its card. The error not_supported lists the supported
/// cards, or says why this card is not supported.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> probe_driver(Context& context, std::unique_ptr<Device> device);

}  // namespace pollux
