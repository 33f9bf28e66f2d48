// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/net/card_driver.hpp"

namespace pollux {

/// The drivers and the cards as software that a Context knows: those that are built in, and what the program added. The
/// last one added is asked first. Thread rule: any thread.
class Registry {
 public:
  Registry();

  [[nodiscard]] Result<void> add(CardDriver driver);
  [[nodiscard]] Result<void> add(CardModel model);

  struct Found {
    const CardDriver* driver;
    const KnownCard* card;
  };
  /// Valid as long as the registry.
  [[nodiscard]] std::optional<Found> find(const PciIdentity& card) const;
  /// An empty name: the last that is built in. Error invalid_argument: there is none of that name; the hint lists them.
  [[nodiscard]] Result<const CardModel*> find_model(std::string_view name) const;
  /// What record and replay have to know of a card; nullptr: it cannot be recorded.
  [[nodiscard]] const CardLayout* find_layout(const PciIdentity& card) const;

  [[nodiscard]] std::vector<const CardDriver*> drivers() const;
  /// "igb (8086:10c9 82576, ...)" for each driver and the cards that it drives, for a hint.
  [[nodiscard]] std::string describe() const;

 private:
  mutable std::mutex mutex_;
  // A deque, since what is in it stays where it is.
  std::deque<CardDriver> drivers_;
  std::deque<CardModel> models_;
};

}  // namespace pollux
