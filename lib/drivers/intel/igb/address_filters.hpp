// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/igb/functions.hpp"
#include "pollux/net/settings.hpp"

namespace pollux::drivers::igb {

/// The addresses that a port without pools receives besides its own. Unicast addresses are compared exactly, in the
/// receive addresses from 1 on. So are multicast groups if all of them fit beside these; otherwise they pass by their
/// hash, which lets other groups pass, too. Virtual functions have the receive addresses for themselves, so all
/// addresses of their port pass by their hash.
class AddressFilters {
 public:
  /// `card` and `functions` outlive the object.
  AddressFilters(const Card& card, FunctionControl& functions) : card_(card), functions_(functions) {}

  /// The card has none of them, after clear_filters.
  void forget() noexcept;
  /// Writes the card's registers so that no address that stays in the list is missing at any time.
  void write(const Settings& settings);

 private:
  using Table = std::array<std::uint32_t, reg::kMulticastTableWords>;

  void write_exact(const std::vector<MacAddress>& wanted);
  void write_table(const Table& table);

  const Card& card_;
  FunctionControl& functions_;
  // What the card has: receive addresses (0 is the port's own and never here), and MTA. An address keeps its place.
  std::array<std::optional<MacAddress>, reg::RAL::kCount> exact_{};
  Table table_{};
};

}  // namespace pollux::drivers::igb
