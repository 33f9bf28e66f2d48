// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/flow/software_classifier.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "net/flow/match_fields.hpp"
#include "pollux/net/packet/classify.hpp"
#include "pollux/net/packet/parse.hpp"

namespace pollux {

Result<FlowRuleId> SoftwareClassifier::add(const FlowRule& rule) {
  if (auto checked = check_rule(rule); !checked) return pass_on(std::move(checked));
  if (auto checked = check_queues(rule.action, queues_, "the classifier"); !checked) return pass_on(std::move(checked));
  if (rule.action.kind == FlowAction::Kind::kernel) {
    return fail(ErrorCode::not_supported, "flow rule: the classifier does not pass frames to the kernel",
                "use to_drop, or KernelPath");
  }
  // After all rules of the same priority.
  const auto place =
      std::upper_bound(compiled_.begin(), compiled_.end(), rule.priority,
                       [](std::uint32_t priority, const Compiled& other) { return priority < other.rule.priority; });
  const FlowRuleId id{next_id_++};
  compiled_.insert(place, {id, rule, packet::ToeplitzHash(rule.action.rss.key)});
  return id;
}

Result<void> SoftwareClassifier::remove(FlowRuleId id) {
  const auto removed = std::erase_if(compiled_, [id](const Compiled& rule) { return rule.id == id; });
  if (removed != 0) return {};
  return fail(ErrorCode::not_found, fmt::format("there is no flow rule {}", static_cast<std::uint64_t>(id)),
              "use an id that add returned, once");
}

std::vector<InstalledRule> SoftwareClassifier::rules() const {
  std::vector<InstalledRule> rules;
  for (const Compiled& compiled : compiled_) rules.push_back({compiled.id, compiled.rule});
  std::sort(rules.begin(), rules.end(), [](const auto& left, const auto& right) { return left.id < right.id; });
  return rules;
}

SoftwareClassifier::Decision SoftwareClassifier::decide(const Mbuf& frame) const noexcept {
  const WireFrame wire(frame, stripped_tags(frame));
  const packet::Layout layout = wire.parse();
  Decision decision;
  for (const Compiled& compiled : compiled_) {
    const FlowAction& action = compiled.rule.action;
    if (!matches_parsed(compiled.rule, wire, layout)) continue;
    if (!decision.mark) decision.mark = action.mark;
    if (action.kind == FlowAction::Kind::keep) continue;
    decision.drop = action.kind == FlowAction::Kind::drop;
    if (action.kind == FlowAction::Kind::queue) decision.queue = action.queue;
    if (action.kind == FlowAction::Kind::rss) {
      const packet::Layout stored = wire.is_as_stored() ? layout : packet::parse(frame);
      const auto hash = packet::rss_hash(compiled.hash, frame, stored, action.rss.types).value_or(0);
      decision.queue = action.rss.table[hash % action.rss.table.size()];
    }
    break;
  }
  return decision;
}

}  // namespace pollux
