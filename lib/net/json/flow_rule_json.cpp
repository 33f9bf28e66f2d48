// SPDX-License-Identifier: BSD-3-Clause
#include "net/json/flow_rule_json.hpp"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "net/json/setting_values.hpp"

namespace pollux::json {
namespace {

constexpr std::size_t kMaxItems = 16;
constexpr std::size_t kMaxItemBytes = 128;
constexpr std::uint64_t kMaxRuleQueue = 0xFFFF;
constexpr std::uint64_t kMaxMark = 0xFFFF'FFFF;

tl::unexpected<Error> wrong_member(std::string_view name, std::string hint) {
  return fail(ErrorCode::invalid_argument, fmt::format("the member '{}' of a flow rule is wrong", name),
              std::move(hint));
}

const Json& member_of(const Json& json, const char* name) {
  static const Json nothing;
  const auto found = json.find(name);
  return found == json.end() ? nothing : *found;
}

Result<std::vector<std::uint8_t>> parse_bytes(const Json& item, const char* name) {
  std::vector<std::uint8_t> bytes;
  const Json& text = member_of(item, name);
  if (text.is_null()) return bytes;
  const auto reject = [&] {
    return wrong_member(name, fmt::format("write at most {} bytes as hexadecimal digits", kMaxItemBytes));
  };
  if (!text.is_string()) return reject();
  const std::string_view digits = text.get_ref<const std::string&>();
  if (digits.size() > 2 * kMaxItemBytes) return reject();
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    if (!read_hex(digits.substr(i, 2), bytes.emplace_back())) return reject();
  }
  return bytes;
}

Result<std::uint64_t> parse_number(const Json& json, const char* name, std::uint64_t highest) {
  const Json& value = member_of(json, name);
  if (value.is_null()) return std::uint64_t{0};
  if (value.is_number_unsigned() && value.get<std::uint64_t>() <= highest) return value.get<std::uint64_t>();
  return wrong_member(name, fmt::format("it is a whole number up to {}", highest));
}

Result<MatchItem> parse_item(const Json& json) {
  MatchItem item;
  if (!json.is_object() || !Leaf<MatchProtocol>::read(member_of(json, "protocol"), item.protocol))
    return wrong_member("protocol", "it is " + Leaf<MatchProtocol>::form());
  if (item.protocol == MatchProtocol::raw) return wrong_member("protocol", "raw items are not taken from clients");
  for (const auto& [name, bytes] :
       {std::pair{"spec", &item.spec}, std::pair{"mask", &item.mask}, std::pair{"last", &item.last}}) {
    auto parsed = parse_bytes(json, name);
    if (!parsed) return pass_on(std::move(parsed));
    *bytes = *std::move(parsed);
  }
  return item;
}

Result<FlowAction> parse_action(const Json& json) {
  FlowAction action;
  if (!json.is_object() || !Leaf<FlowAction::Kind>::read(member_of(json, "kind"), action.kind) ||
      action.kind == FlowAction::Kind::rss)
    return wrong_member("kind", "it is keep, queue, drop, receive or kernel");
  const auto queue = parse_number(json, "queue", kMaxRuleQueue);
  if (!queue) return tl::unexpected<Error>(queue.error());
  action.queue = static_cast<std::uint16_t>(*queue);
  if (member_of(json, "mark").is_null()) return action;
  const auto mark = parse_number(json, "mark", kMaxMark);
  if (!mark) return tl::unexpected<Error>(mark.error());
  action.mark = static_cast<std::uint32_t>(*mark);
  return action;
}

Json item_json(const MatchItem& item) {
  Json json{{"protocol", Leaf<MatchProtocol>::write(item.protocol)},
            {"spec", to_hex(item.spec)},
            {"mask", to_hex(item.mask)},
            {"last", to_hex(item.last)}};
  if (item.protocol == MatchProtocol::raw) {
    json["relative"] = item.relative;
    json["search"] = item.search;
    json["offset"] = item.offset;
    json["limit"] = item.limit;
  }
  return json;
}

}  // namespace

Json flow_rule_json(const FlowRule& rule) {
  Json match = Json::array();
  for (const MatchItem& item : rule.match) match.push_back(item_json(item));
  Json action{
      {"kind", Leaf<FlowAction::Kind>::write(rule.action.kind)}, {"queue", rule.action.queue}, {"mark", nullptr}};
  if (rule.action.mark) action["mark"] = *rule.action.mark;
  if (rule.action.kind == FlowAction::Kind::rss) action["table"] = rule.action.rss.table;
  return {{"match", std::move(match)}, {"action", std::move(action)}, {"priority", rule.priority}};
}

Result<FlowRule> parse_flow_rule(const Json& json) {
  if (!json.is_object()) return wrong_member("rule", "it is an object with match and action");
  FlowRule rule;
  const Json& match = member_of(json, "match");
  if (!match.is_array() || match.size() > kMaxItems)
    return wrong_member("match", fmt::format("it is a list of at most {} items", kMaxItems));
  for (const Json& one : match) {
    auto item = parse_item(one);
    if (!item) return pass_on(std::move(item));
    rule.match.push_back(*std::move(item));
  }
  auto action = parse_action(member_of(json, "action"));
  if (!action) return pass_on(std::move(action));
  rule.action = *std::move(action);
  const auto priority = parse_number(json, "priority", kMaxMark);
  if (!priority) return tl::unexpected<Error>(priority.error());
  rule.priority = static_cast<std::uint32_t>(*priority);
  return rule;
}

}  // namespace pollux::json
