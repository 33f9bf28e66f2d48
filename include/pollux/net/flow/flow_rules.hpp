// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/capability.hpp"
#include "pollux/net/flow/flow_rule.hpp"

namespace pollux {

/// A rule that was added. Never used again for another rule of the same port.
enum class FlowRuleId : std::uint64_t {};

struct InstalledRule {
  FlowRuleId id{};
  FlowRule rule;

  [[nodiscard]] bool operator==(const InstalledRule&) const = default;
};

/// Capability (see capability.hpp): flow rules that the card executes. SoftwareClassifier has the same functions.
/// Rules stay in force, through stops, starts and new configurations, until the port is closed or they are removed.
class POLLUX_API FlowRules {
 public:
  static constexpr CapabilityId kId{"flow_rules"};

  virtual ~FlowRules() = default;
  /// Takes effect at once on a started port. Errors: invalid_argument (see check_rule, or the port does not have the
  /// queue), not_supported (the card cannot execute the rule: says which item, field or action is the reason), busy
  /// (the card has no free filter of that kind, or another rule contradicts this one), bad_state (the port is closed,
  /// has pools or virtual functions, or an outer VLAN type), device_removed.
  [[nodiscard]] virtual Result<FlowRuleId> add(const FlowRule& rule) = 0;
  /// Errors: not_found, bad_state (the port is closed), device_removed.
  [[nodiscard]] virtual Result<void> remove(FlowRuleId id) = 0;
  /// In the order in which they were added.
  [[nodiscard]] virtual std::vector<InstalledRule> rules() const = 0;
};

}  // namespace pollux
