// SPDX-License-Identifier: BSD-3-Clause
// Methods about the flow rules that a card executes.
#include <array>
#include <limits>
#include <utility>

#include "observe/flow_rule_json.hpp"
#include "observe/methods.hpp"
#include "pollux/net/flow/flow_rules.hpp"

namespace pollux::observe {
namespace {

Result<Json> flow_rules(Server&, NamedPort& named, const Params&) {
  const auto rules = need<FlowRules>(named);
  if (!rules) return tl::unexpected<Error>(rules.error());
  Json all = Json::array();
  for (const InstalledRule& installed : (*rules)->rules())
    all.push_back({{"id", static_cast<std::uint64_t>(installed.id)}, {"rule", flow_rule_json(installed.rule)}});
  return all;
}

Result<Json> add_flow_rule(Server&, NamedPort& named, const Params& params) {
  const auto rule = parse_flow_rule(params.value("rule"));
  if (!rule) return tl::unexpected<Error>(rule.error());
  const auto rules = need<FlowRules>(named);
  if (!rules) return tl::unexpected<Error>(rules.error());
  const auto id = (*rules)->add(*rule);
  if (!id) return tl::unexpected<Error>(id.error());
  return Json{{"id", static_cast<std::uint64_t>(*id)}};
}

Result<Json> remove_flow_rule(Server&, NamedPort& named, const Params& params) {
  const auto id = params.number("id", 0, std::numeric_limits<std::uint64_t>::max());
  if (!id) return tl::unexpected<Error>(id.error());
  const auto rules = need<FlowRules>(named);
  if (!rules) return tl::unexpected<Error>(rules.error());
  return done((*rules)->remove(FlowRuleId{*id}));
}

constexpr std::array kFlowMethods{
    MethodEntry{.name = "port.flow_rules", .of_port = flow_rules},
    MethodEntry{.name = "port.add_flow_rule", .changes = true, .of_port = add_flow_rule},
    MethodEntry{.name = "port.remove_flow_rule", .changes = true, .of_port = remove_flow_rule},
};

}  // namespace

std::span<const MethodEntry> flow_methods() noexcept { return kFlowMethods; }

}  // namespace pollux::observe
