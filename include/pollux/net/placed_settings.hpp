// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/settings.hpp"

namespace pollux {

/// The filters that a card has for addresses, VLANs and rules, which keep them as long as they are set: the driver's
/// choice.
struct FilterSlots {
  /// By the number of the card's filter.
  ///@{
  std::map<std::uint16_t, MacAddress> addresses = {};
  std::map<std::uint16_t, std::uint16_t> vlans = {};
  ///@}
  std::map<FlowRuleId, std::uint32_t> rules = {};  ///< the filter, of those of the rule's kind
};

/// The settings of a port, and the filters that its card has for them, which no program sees.
struct PlacedSettings : Settings {
  FilterSlots slots = {};  ///< also of virtual functions
};

/// A flow rule of PlacedSettings, and its filter.
struct PlacedRule : InstalledRule {
  std::optional<std::uint32_t> slot = {};  ///< see FilterSlots

  [[nodiscard]] bool operator==(const PlacedRule&) const = default;
};
/// The rules in the order of their ids.
[[nodiscard]] POLLUX_API std::vector<PlacedRule> placed_rules(const PlacedSettings& settings);
/// Keeps the filters of these rules.
POLLUX_API void keep_slots(PlacedSettings& settings, const std::vector<PlacedRule>& rules);

}  // namespace pollux
