// SPDX-License-Identifier: BSD-3-Clause
// Flow rules: ethtool -n and -N. The location of a rule is its id, which the port chooses.
#include <array>
#include <cerrno>
#include <limits>
#include <set>
#include <string>

#include "flow_spec.hpp"
#include "verbs.hpp"

namespace pollux::ethtool {
namespace {

constexpr std::uint64_t kMaxLocation = std::numeric_limits<std::int32_t>::max();

int rules_of(Port& port, Json& rules, Json* tag = nullptr) {
  Json info;
  Json settings;
  if (const int error = port.ask("port.info", info)) return error;
  if (!contains(member(info, "settings"), "rules")) {
    explain(port.name() + " has no flow rules");
    return EOPNOTSUPP;
  }
  if (const int error = port.settings(settings, tag)) return error;
  rules = member(settings, "rules");
  return rules.is_object() ? 0 : EIO;
}

/// In ascending order.
std::set<std::uint64_t> ids_of(const Json& rules) {
  std::set<std::uint64_t> ids;
  for (const auto& one : rules.items()) ids.insert(std::strtoull(one.key().c_str(), nullptr, 10));
  return ids;
}

int rule_count(Port& port, void* data) {
  Json rules;
  if (const int error = rules_of(port, rules)) return error;
  auto& answer = *static_cast<ethtool_rxnfc*>(data);
  answer.rule_cnt = static_cast<std::uint32_t>(rules.size());
  answer.data = RX_CLS_LOC_SPECIAL;  // ethtool leaves the choice of locations to the port
  return 0;
}

int rule_locations(Port& port, void* data) {
  Json rules;
  if (const int error = rules_of(port, rules)) return error;
  auto& answer = *static_cast<ethtool_rxnfc*>(data);
  if (rules.size() > answer.rule_cnt) return EMSGSIZE;  // one was added meanwhile
  answer.rule_cnt = static_cast<std::uint32_t>(rules.size());
  answer.data = kMaxLocation;
  std::size_t count = 0;
  for (const std::uint64_t id : ids_of(rules)) answer.rule_locs[count++] = static_cast<std::uint32_t>(id);
  return 0;
}

/// The action in ethtool's terms. false: it has none for it.
bool put_action(const Json& action, ethtool_rx_flow_spec& spec) {
  const std::string kind = text(action, "kind");
  spec.ring_cookie = kind == "drop" ? RX_CLS_FLOW_DISC : number(action, "queue");
  return (kind == "drop" || kind == "queue") && member(action, "mark").is_null();
}

void put_rule(const Json& rule, ethtool_rx_flow_spec& spec) {
  const std::uint32_t location = spec.location;
  spec = {};
  spec.location = location;
  const bool has_match = put_match(member(rule, "match"), spec);
  const bool has_action = put_action(member(rule, "action"), spec);
  if (has_match && has_action) return;
  // ethtool then says that the flow type is unknown.
  spec.flow_type = 0;
  explain("rule " + std::to_string(location) +
          " has no form in ethtool: " + rule.dump(-1, ' ', true, Json::error_handler_t::replace));
}

int rule(Port& port, void* data) {
  Json rules;
  if (const int error = rules_of(port, rules)) return error;
  auto& request = *static_cast<ethtool_rxnfc*>(data);
  const Json& found = member(rules, std::to_string(request.fs.location).c_str());
  if (found.is_null()) return ENOENT;
  put_rule(found, request.fs);
  return 0;
}

int reject(const char* what, const char* hint) {
  explain(what, hint);
  return EINVAL;
}

int add_rule(Port& port, void* data) {
  auto& spec = static_cast<ethtool_rxnfc*>(data)->fs;
  if ((spec.location & RX_CLS_LOC_SPECIAL) == 0)
    return reject("a port chooses the location of a rule", "leave out loc");
  const bool drops = spec.ring_cookie == RX_CLS_FLOW_DISC;
  if (!drops && spec.ring_cookie > std::numeric_limits<std::uint16_t>::max())
    return reject("a rule leads to a queue of the port, or drops", "write action N, or action -1");
  const Json match = match_of(spec);
  if (match.is_null())
    return reject("the rule compares a field that Pollux does not", "share/doc/pollux/ethtool.md lists the fields");
  Json action{{"kind", drops ? "drop" : "queue"}};
  if (!drops) action["queue"] = spec.ring_cookie;
  Json rules;
  Json tag;  // another program may add a rule with the same id meanwhile
  if (const int error = rules_of(port, rules, &tag)) return error;
  const std::set<std::uint64_t> ids = ids_of(rules);
  const std::uint64_t id = ids.empty() ? 1 : *ids.rbegin() + 1;
  if (id > kMaxLocation) return EMSGSIZE;
  const Json wanted{{"match", match}, {"action", action}};
  if (const int error = port.set({{"rules", {{std::to_string(id), wanted}}}}, tag)) return error;
  spec.location = static_cast<std::uint32_t>(id);
  return 0;
}

int remove_rule(Port& port, void* data) {
  Json rules;
  if (const int error = rules_of(port, rules)) return error;
  const std::string id = std::to_string(static_cast<const ethtool_rxnfc*>(data)->fs.location);
  if (!rules.contains(id)) return ENOENT;
  return port.set({{"rules", {{id, nullptr}}}});
}

constexpr std::array kFlowVerbs{
    Verb{ETHTOOL_GRXCLSRLCNT, rule_count}, Verb{ETHTOOL_GRXCLSRLALL, rule_locations}, Verb{ETHTOOL_GRXCLSRULE, rule},
    Verb{ETHTOOL_SRXCLSRLINS, add_rule},   Verb{ETHTOOL_SRXCLSRLDEL, remove_rule},
};

}  // namespace

std::span<const Verb> flow_verbs() { return kFlowVerbs; }

}  // namespace pollux::ethtool
