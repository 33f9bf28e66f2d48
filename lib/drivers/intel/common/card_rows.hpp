// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "hw/intel/features.hpp"
#include "pollux/net/card_driver.hpp"

namespace pollux::drivers::intel {

/// The cards of a driver, from its rows of traits. `not_driven(row)`: why a card is known and not driven; empty: it is.
template <class Row, std::size_t N, class NotDriven>
[[nodiscard]] std::vector<KnownCard> known_cards(const std::array<Row, N>& rows, NotDriven not_driven) {
  std::vector<KnownCard> cards;
  for (const Row& row : rows) {
    if (row.subsystem != hw::intel::Subsystem{}) continue;  // the id has a row without one
    cards.push_back({.vendor = hw::intel::kVendorId,
                     .device = row.id,
                     .name = std::string(row.name),
                     .not_driven = not_driven(row)});
  }
  return cards;
}

/// The row of a device. Error not_supported: there is none, or its card is not driven.
template <class Row, std::size_t N, class NotDriven>
[[nodiscard]] Result<const Row*> find_driven(const std::array<Row, N>& rows, const Device& device,
                                             std::string_view driver, NotDriven not_driven) {
  const PciIdentity card = device.identity();
  const Row* const row = hw::intel::find_row(rows, card);
  if (row == nullptr) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: {:04x}:{:04x} is none of the driver's cards", device.name(), card.vendor, card.device),
                fmt::format("use a card that the {} driver knows", driver));
  }
  const std::string reason = not_driven(*row);
  if (reason.empty()) return row;
  return fail(ErrorCode::not_supported, fmt::format("{}: {} is not driven", device.name(), row->name), reason);
}

}  // namespace pollux::drivers::intel
