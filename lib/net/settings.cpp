// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/settings.hpp"

#include <utility>

#include "pollux/net/placed_settings.hpp"

namespace pollux {
std::uint32_t rate_of(const std::map<std::uint16_t, std::uint32_t>& rates, std::uint16_t index) noexcept {
  const auto rate = rates.find(index);
  return rate == rates.end() ? 0 : rate->second;
}

FlowRuleId add_rule(Settings& settings, FlowRule rule) {
  const auto last = settings.rules.empty() ? 0 : static_cast<std::uint64_t>(settings.rules.rbegin()->first);
  const FlowRuleId id{last + 1};
  settings.rules.insert_or_assign(id, std::move(rule));
  return id;
}

LinkModes advertised_modes(const Settings& settings, const PortLimits& limits) {
  return settings.link.advertised == kAllLinkModes ? limits.link_modes : settings.link.advertised;
}

std::vector<PlacedRule> placed_rules(const PlacedSettings& settings) {
  std::vector<PlacedRule> rules;
  for (const auto& [id, rule] : settings.rules) {
    const auto slot = settings.slots.rules.find(id);
    rules.push_back({{id, rule}, slot == settings.slots.rules.end() ? std::nullopt : std::optional(slot->second)});
  }
  return rules;
}

void keep_slots(PlacedSettings& settings, const std::vector<PlacedRule>& rules) {
  for (const PlacedRule& rule : rules) {
    if (rule.slot) settings.slots.rules[rule.id] = *rule.slot;
  }
}

}  // namespace pollux
