// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/igb/functions.hpp"
#include "pollux/net/frame_filters.hpp"

namespace pollux::drivers::igb {

/// The addresses that a port without pools receives besides its own. Unicast addresses are compared exactly, in the
/// receive addresses from 1 on. So are multicast groups if all of them fit beside these; otherwise they pass by their
/// hash, which lets other groups pass, too. Virtual functions have the receive addresses for themselves, so all
/// addresses of their port pass by their hash.
class AddressFilters final : public UnicastFilter, public MulticastFilter {
 public:
  struct Hooks {
    std::function<Result<void>()> check;          ///< whether the port is open and has no pools
    std::function<bool()> running;                ///< a stopped port writes its addresses when it starts
    std::function<FunctionControl*()> functions;  ///< nullptr if there are no virtual functions
  };

  AddressFilters(const Card& card, Hooks hooks) : card_(card), hooks_(std::move(hooks)) {}

  [[nodiscard]] Result<void> set_unicast(std::span<const MacAddress> addresses) override;
  [[nodiscard]] std::vector<MacAddress> unicast() const override { return unicast_; }
  [[nodiscard]] std::size_t max_unicast() const override;
  [[nodiscard]] Result<void> set_multicast(std::span<const MacAddress> groups) override;

  [[nodiscard]] bool any() const noexcept { return !unicast_.empty() || !multicast_.empty(); }
  /// Whether the card can compare the unicast addresses without virtual functions.
  [[nodiscard]] bool fit_exactly() const { return unicast_.size() <= exact_entries(); }
  /// Writes everything, after clear_filters and the start of virtual functions.
  void start();

 private:
  using Table = std::array<std::uint32_t, reg::kMulticastTableWords>;

  /// Groups are compared exactly.
  [[nodiscard]] bool exact_groups() const { return unicast_.size() + multicast_.size() <= exact_entries(); }
  [[nodiscard]] std::size_t exact_entries() const;
  [[nodiscard]] Result<void> apply();
  /// Writes the card's registers so that no address that stays in the list is missing at any time.
  void write();
  void write_exact(const std::vector<MacAddress>& wanted);
  void write_table(const Table& table);

  const Card& card_;
  Hooks hooks_;
  std::vector<MacAddress> unicast_;
  std::vector<MacAddress> multicast_;
  // What the card has: receive addresses (0 is the port's own and never here), and MTA.
  std::array<std::optional<MacAddress>, reg::RAL::kCount> exact_{};
  Table table_{};
};

}  // namespace pollux::drivers::igb
