// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/flow_filters.hpp"

#include <algorithm>
#include <span>
#include <string>

#include <fmt/format.h>

#include "net/flow/match_fields.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/transport.hpp"

namespace pollux::drivers::igb {
namespace {

using Kind = CardFilter::Kind;

tl::unexpected<Error> does_not_fit(std::string_view port, const std::string& why) {
  return fail(ErrorCode::not_supported, fmt::format("{}: the card cannot execute the flow rule: {}", port, why),
              "change the rule, or use SoftwareClassifier, which executes every rule");
}

/// Reads the fields of an item. Each field that the card can compare is taken once; `rest` finds any other.
class ItemReader {
 public:
  ItemReader(const FlowRule& rule, std::size_t index) : item_(rule.match[index]), index_(index) {}

  /// The field's value if all of its bits are compared; nullopt if none is, or if `problem` says why it cannot be read.
  std::optional<std::uint32_t> take(std::string_view name) {
    for (const MatchField& field : match_header(item_.protocol).fields) {
      if (field.name != name) continue;
      taken_ |= 1U << field.at;
      if (!is_compared(field)) return std::nullopt;
      if (has_range(field)) return refuse_field(name, "the card compares single values, and this is a range");
      const auto mask = part(field, effective_mask(item_));
      if (!std::all_of(mask.begin(), mask.end(), [](std::uint8_t byte) { return byte == 0xFF; })) {
        return refuse_field(name, "the card compares all of its bits or none");
      }
      std::uint32_t value = 0;
      for (const std::uint8_t byte : part(field, item_.spec)) value = value << 8 | byte;
      return value;
    }
    return std::nullopt;
  }
  /// Flags of TCP: nothing, or exactly SYN set.
  bool take_syn() {
    taken_ |= 1U << kFlagsAt;
    if (item_.spec.empty() || effective_mask(item_)[kFlagsAt] == 0) return false;
    const bool is_range = !item_.last.empty() && item_.last[kFlagsAt] != 0;
    if (!is_range && effective_mask(item_)[kFlagsAt] == packet::TcpHeader::syn &&
        (item_.spec[kFlagsAt] & packet::TcpHeader::syn) != 0) {
      return true;
    }
    refuse_field("flags", "the card compares only SYN, set");
    return false;
  }
  /// Notes a field that is compared and was not taken.
  void rest() {
    for (const MatchField& field : match_header(item_.protocol).fields) {
      if ((taken_ >> field.at & 1U) == 0 && is_compared(field))
        refuse_field(field.name, "the card does not compare it");
    }
  }
  void refuse_item(std::string_view why) {
    if (problem_.empty()) problem_ = fmt::format("match[{}] ({}): {}", index_, match_header(item_.protocol).name, why);
  }
  std::optional<std::uint32_t> refuse_field(std::string_view name, std::string_view why) {
    if (problem_.empty()) {
      problem_ = fmt::format("match[{}] ({}): {}: {}", index_, match_header(item_.protocol).name, name, why);
    }
    return std::nullopt;
  }
  /// Why the item does not fit; empty if it does.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  static constexpr std::size_t kFlagsAt = 13;

  static std::span<const std::uint8_t> part(const MatchField& field, std::span<const std::uint8_t> bytes) {
    return bytes.subspan(field.at, field.bytes);
  }
  [[nodiscard]] bool is_compared(const MatchField& field) const {
    if (item_.spec.empty()) return false;
    const auto mask = part(field, effective_mask(item_));
    return std::any_of(mask.begin(), mask.end(), [](std::uint8_t byte) { return byte != 0; });
  }
  [[nodiscard]] bool has_range(const MatchField& field) const {
    if (item_.last.empty()) return false;
    const auto last = part(field, item_.last);
    const auto spec = part(field, item_.spec);
    return std::any_of(last.begin(), last.end(), [](std::uint8_t byte) { return byte != 0; }) &&
           !std::equal(last.begin(), last.end(), spec.begin());
  }

  const MatchItem& item_;
  std::size_t index_;
  std::uint64_t taken_ = 0;
  std::string problem_;
};

Result<CardFilter> ether_type_filter(const FlowRule& rule, std::string_view port) {
  ItemReader eth(rule, 0);
  const auto type = eth.take("type");
  eth.rest();
  if (eth.problem().empty() && !type) eth.refuse_item("it compares no type");
  if (type && (*type == packet::ether_type::kIpv4 || *type == packet::ether_type::kIpv6)) {
    eth.refuse_field("type", "an EtherType filter for IP would hide the packet type of these frames");
  }
  if (type && (*type < 0x0600 || packet::is_vlan(static_cast<std::uint16_t>(*type)))) {
    eth.refuse_field("type", "the card's filters compare EtherTypes after tags, not lengths or types of tags");
  }
  if (!eth.problem().empty()) return does_not_fit(port, eth.problem());
  return CardFilter{.kind = Kind::ether_type, .ether_type = static_cast<std::uint16_t>(*type)};
}

std::uint8_t number_of(MatchProtocol protocol) noexcept {
  if (protocol == MatchProtocol::tcp) return packet::ip_protocol::kTcp;
  return protocol == MatchProtocol::udp ? packet::ip_protocol::kUdp : packet::ip_protocol::kSctp;
}

Result<CardFilter> five_tuple_filter(const FlowRule& rule, std::size_t ip, std::string_view port) {
  CardFilter filter{.kind = Kind::five_tuple, .protocol = number_of(rule.match[ip + 1].protocol)};
  ItemReader header(rule, ip);
  filter.source = header.take("source");
  filter.destination = header.take("destination");
  const auto protocol = header.take("protocol");
  header.rest();
  if (protocol && *protocol != filter.protocol) header.refuse_field("protocol", "the next item is another protocol");
  if (!header.problem().empty()) return does_not_fit(port, header.problem());
  ItemReader ports(rule, ip + 1);
  filter.source_port = ports.take("source_port");
  filter.destination_port = ports.take("destination_port");
  ports.rest();
  if (!ports.problem().empty()) return does_not_fit(port, ports.problem());
  return filter;
}

Result<CardFilter> syn_filter(const FlowRule& rule, std::size_t index, std::string_view port) {
  ItemReader tcp(rule, index);
  const bool is_syn = tcp.take_syn();
  tcp.rest();
  if (!is_syn) tcp.refuse_item("only an ipv4 item before it makes this a rule of a five-tuple filter");
  if (!tcp.problem().empty()) return does_not_fit(port, tcp.problem());
  return CardFilter{.kind = Kind::syn};
}

/// The reason why no filter has items of this kind or number; empty if one has.
std::string wrong_items(const FlowRule& rule, std::size_t first) {
  const auto reject = [&](std::size_t index, std::string_view why) {
    return fmt::format("match[{}] ({}): {}", index, match_header(rule.match[index].protocol).name, why);
  };
  for (std::size_t i = first; i < rule.match.size(); ++i) {
    switch (rule.match[i].protocol) {
      case MatchProtocol::vlan: return reject(i, "the card's filters do not compare tags");
      case MatchProtocol::ipv6: return reject(i, "the card's filters do not compare IPv6");
      case MatchProtocol::raw: return reject(i, "the card's filters do not compare bytes at any position");
      default: break;
    }
  }
  const std::size_t items = rule.match.size() - first;
  if (items == 0) return "it matches every frame";
  if (items == 1 && rule.match[first].protocol == MatchProtocol::ipv4) {
    return reject(first, "a five-tuple filter needs a tcp, udp or sctp item, too");
  }
  if (items == 1 && rule.match[first].protocol != MatchProtocol::tcp) {
    return reject(first, "a five-tuple filter needs an ipv4 item before it");
  }
  return {};
}

Result<CardFilter> fit_items(const FlowRule& rule, std::string_view port) {
  std::size_t first = 0;
  if (!rule.match.empty() && rule.match[0].protocol == MatchProtocol::eth) {
    if (rule.match.size() == 1) return ether_type_filter(rule, port);
    ItemReader eth(rule, 0);
    eth.rest();
    if (!eth.problem().empty()) return does_not_fit(port, eth.problem() + " together with other items");
    first = 1;
  }
  if (const std::string wrong = wrong_items(rule, first); !wrong.empty()) return does_not_fit(port, wrong);
  if (rule.match[first].protocol == MatchProtocol::tcp) return syn_filter(rule, first, port);
  return five_tuple_filter(rule, first, port);
}

}  // namespace

const char* name_of(CardFilter::Kind kind) noexcept {
  return kind == Kind::ether_type ? "EtherType" : kind == Kind::five_tuple ? "five-tuple" : "SYN";
}

std::uint32_t filters_of(const hw::igb::FilterTraits& card, CardFilter::Kind kind) noexcept {
  return kind == Kind::ether_type ? card.ether_types : kind == Kind::five_tuple ? card.five_tuples : card.syns;
}

Result<CardFilter> fit_filter(const FlowRule& rule, const hw::igb::FilterTraits& card, std::string_view port) {
  if (rule.action.kind != FlowAction::Kind::queue) {
    return does_not_fit(port, "its action: the card's filters only send frames to a queue");
  }
  if (rule.action.mark) return does_not_fit(port, "its action: the card's filters do not mark frames");
  auto filter = fit_items(rule, port);
  if (!filter) return filter;
  filter->queue = rule.action.queue;
  if (filters_of(card, filter->kind) == 0) {
    return does_not_fit(port, fmt::format("the card has no {} filters", name_of(filter->kind)));
  }
  const bool has_source = filter->source || filter->destination || filter->source_port;
  if (filter->kind == Kind::five_tuple && has_source && !card.tuples_have_sources) {
    return does_not_fit(port, "the card's two-tuple filters compare the protocol and the destination port alone");
  }
  if (filter->kind != Kind::five_tuple && filter->queue >= card.low_queues) {
    return does_not_fit(port, fmt::format("its action: {} filters reach queues 0 to {}, not {}", name_of(filter->kind),
                                          card.low_queues - 1, filter->queue));
  }
  return filter;
}

}  // namespace pollux::drivers::igb
