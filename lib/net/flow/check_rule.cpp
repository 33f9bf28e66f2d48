// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "net/flow/match_fields.hpp"
#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/packet/parse.hpp"

namespace pollux {
namespace {

/// Layers in the order of the headers.
enum class RuleLayer : std::uint8_t { none, link, network, transport, raw, unknown };

RuleLayer layer_of(MatchProtocol protocol) noexcept {
  switch (protocol) {
    case MatchProtocol::eth:
    case MatchProtocol::vlan: return RuleLayer::link;
    case MatchProtocol::ipv4:
    case MatchProtocol::ipv6: return RuleLayer::network;
    case MatchProtocol::tcp:
    case MatchProtocol::udp:
    case MatchProtocol::sctp: return RuleLayer::transport;
    case MatchProtocol::raw: return RuleLayer::raw;
  }
  return RuleLayer::unknown;
}

std::string item_name(std::size_t index, const MatchItem& item) {
  return fmt::format("match[{}] ({})", index, match_header(item.protocol).name);
}

tl::unexpected<Error> invalid_rule(const std::string& what, std::string hint) {
  return fail(ErrorCode::invalid_argument, "flow rule: " + what, std::move(hint));
}

/// Whether an item of `item`'s protocol may follow one of `before`'s; `tags` counts the vlan items so far.
bool may_follow(RuleLayer before, const MatchItem& item, std::size_t tags) noexcept {
  const RuleLayer layer = layer_of(item.protocol);
  if (layer == RuleLayer::unknown) return false;
  if (before == RuleLayer::none || layer == RuleLayer::raw) return true;
  if (item.protocol == MatchProtocol::eth) return false;
  if (item.protocol == MatchProtocol::vlan) return before == RuleLayer::link && tags < packet::Layout::kMaxVlans;
  return static_cast<int>(layer) == static_cast<int>(before) + 1 && before != RuleLayer::transport;
}

Result<void> check_sizes(std::size_t index, const MatchItem& item) {
  if (item.spec.empty()) {
    if (item.mask.empty() && item.last.empty()) return {};
    return invalid_rule(item_name(index, item) + " has a mask or an end of a range without a spec", "give it a spec");
  }
  const std::size_t bytes = item.protocol == MatchProtocol::raw ? item.spec.size() : match_header(item.protocol).bytes;
  const auto fits = [&](const std::vector<std::uint8_t>& part) { return part.empty() || part.size() == bytes; };
  if (fits(item.spec) && fits(item.mask) && fits(item.last)) return {};
  return invalid_rule(item_name(index, item) + " has bytes of the wrong number",
                      fmt::format("spec, mask and last have {} bytes each", bytes));
}

/// A field of `part`, under the item's mask.
std::vector<std::uint8_t> masked(const MatchItem& item, const MatchField& field,
                                 const std::vector<std::uint8_t>& part) {
  const auto mask = effective_mask(item);
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = field.at; i < field.at + field.bytes; ++i) {
    bytes.push_back(static_cast<std::uint8_t>(part[i] & mask[i]));
  }
  return bytes;
}

// A range of 0 is none (DPDK, flow_offload.rst, "Pattern item").
Result<void> check_ranges(std::size_t index, const MatchItem& item) {
  if (item.last.empty()) return {};
  for (const MatchField& field : match_header(item.protocol).fields) {
    const auto from = item.last.begin() + static_cast<std::ptrdiff_t>(field.at);
    if (std::all_of(from, from + static_cast<std::ptrdiff_t>(field.bytes),
                    [](std::uint8_t byte) { return byte == 0; })) {
      continue;
    }
    if (masked(item, field, item.last) < masked(item, field, item.spec)) {
      return invalid_rule(fmt::format("{}: the range of {} ends before it starts", item_name(index, item), field.name),
                          "exchange spec and last, or set the field of last to 0 for a single value");
    }
  }
  return {};
}

Result<void> check_raw(std::size_t index, const MatchItem& item) {
  const bool is_raw = item.protocol == MatchProtocol::raw;
  if (!is_raw) {
    if (!item.relative && !item.search && item.offset == 0 && item.limit == 0) return {};
    return invalid_rule(item_name(index, item) + " has a position", "only raw items have one");
  }
  if (item.spec.empty() || item.spec.size() > kMaxRawBytes) {
    return invalid_rule(fmt::format("{} has {} bytes", item_name(index, item), item.spec.size()),
                        fmt::format("give it 1 to {}", kMaxRawBytes));
  }
  if (!item.last.empty()) return invalid_rule(item_name(index, item) + " has a range", "raw items have none");
  if (item.offset < 0 && !item.relative) {
    return invalid_rule(
        fmt::format("{} starts {} bytes before the frame", item_name(index, item), -std::int64_t{item.offset}),
        "use an offset of 0 or more, or one relative to the item before");
  }
  return {};
}

Result<void> check_action(const FlowAction& action) {
  if (action.kind > FlowAction::Kind::kernel)
    return invalid_rule("the action is not a known one", "use to_queue and the others");
  if (action.kind == FlowAction::Kind::keep && !action.mark) {
    return invalid_rule("the action does nothing", "use to_queue, to_queues, to_port, to_drop or to_mark");
  }
  if (action.kind != FlowAction::Kind::rss) return {};
  if (action.rss.table.empty()) return invalid_rule("the rss action has no queues", "fill the table of its RssConfig");
  if ((action.rss.types.bits & ~RssTypes::kAll) != 0) {
    return invalid_rule("the rss action has unknown types", "use the bits of RssTypes");
  }
  if (action.rss.symmetric && !packet::is_symmetric(action.rss.key)) {
    return invalid_rule("the key of the rss action is not symmetric", "use packet::kSymmetricRssKey");
  }
  return {};
}

}  // namespace

Result<void> check_rule(const FlowRule& rule) {
  RuleLayer before = RuleLayer::none;
  std::size_t tags = 0;
  for (std::size_t i = 0; i < rule.match.size(); ++i) {
    const MatchItem& item = rule.match[i];
    if (!may_follow(before, item, tags)) {
      return invalid_rule(
          item_name(i, item) + " is not allowed here",
          "the order is eth, up to two vlan, ipv4 or ipv6, tcp or udp or sctp, raw, with none left out between");
    }
    if (auto sizes = check_sizes(i, item); !sizes) return sizes;
    if (auto raw = check_raw(i, item); !raw) return raw;
    if (item.protocol != MatchProtocol::raw) {
      if (auto ranges = check_ranges(i, item); !ranges) return ranges;
    }
    before = layer_of(item.protocol);
    tags += item.protocol == MatchProtocol::vlan ? 1 : 0;
  }
  return check_action(rule.action);
}

Result<void> check_queues(const FlowAction& action, std::uint32_t queues, std::string_view owner) {
  std::uint32_t highest = 0;
  if (action.kind == FlowAction::Kind::queue) highest = action.queue;
  if (action.kind == FlowAction::Kind::rss) {
    highest = *std::max_element(action.rss.table.begin(), action.rss.table.end());
  }
  if (highest < queues) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("flow rule: it uses queue {}, and {} has {}", highest, owner, queues),
              "use queues that exist, or configure more");
}

}  // namespace pollux
