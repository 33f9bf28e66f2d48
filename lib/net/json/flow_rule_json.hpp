// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "net/json/json.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/flow/flow_rule.hpp"

/// Flow rules as JSON: docs/telemetry.md.
namespace pollux::json {

[[nodiscard]] Json flow_rule_json(const FlowRule& rule);

/// Error invalid_argument: names the member that is wrong. Whether the rule makes sense is the port's to say.
[[nodiscard]] Result<FlowRule> parse_flow_rule(const Json& json);

}  // namespace pollux::json
