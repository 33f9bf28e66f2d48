// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/rule_text.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "net/flow/match_fields.hpp"

namespace pollux::xdp {
namespace {

constexpr const char* kExample =
    "write rule=all, rule=none, rule=udp:53, rule=to:10.0.0.1/32+tcp:8000-8099, rule=vlan:7 or rule=type:0x88b5";

std::optional<unsigned> number(std::string_view text, unsigned most) {
  const bool hexadecimal = text.starts_with("0x");
  if (hexadecimal) text.remove_prefix(2);
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, hexadecimal ? 16 : 10);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

/// One rule, from the lowest header up.
class RuleReader {
 public:
  /// False: the term is not one.
  [[nodiscard]] bool add(std::string_view term) {
    const auto colon = term.find(':');
    const std::string_view name = term.substr(0, colon);
    const auto value = colon == std::string_view::npos ? std::nullopt : std::optional(term.substr(colon + 1));
    if (name != "vlan") {  // a frame may have several tags
      if (std::ranges::find(names_, name) != names_.end()) repeated_ = name;
      names_.push_back(name);
    }
    if (name == "type" && value) return add_number(MatchProtocol::eth, 12, *value, 0xFFFF, 0xFFFF);
    if (name == "vlan") {
      items_.push_back({.protocol = MatchProtocol::vlan});
      return !value || add_number(MatchProtocol::vlan, 0, *value, 0x0FFF, 0x0FFF);
    }
    if (name == "from" && value) return add_address(*value, true);
    if (name == "to" && value) return add_address(*value, false);
    if (!value && (name == "ipv4" || name == "ipv6")) {
      item(name == "ipv4" ? MatchProtocol::ipv4 : MatchProtocol::ipv6);
      return true;
    }
    constexpr std::array kTransports{std::pair{std::string_view("tcp"), MatchProtocol::tcp},
                                     std::pair{std::string_view("udp"), MatchProtocol::udp},
                                     std::pair{std::string_view("sctp"), MatchProtocol::sctp}};
    for (const auto& [transport, protocol] : kTransports) {
      if (transport != name) continue;
      if (value) return add_ports(protocol, *value);
      item(protocol);
      return true;
    }
    return false;
  }
  /// A word that was given twice; empty if there is none.
  [[nodiscard]] std::string_view repeated() const noexcept { return repeated_; }
  [[nodiscard]] std::vector<MatchItem> items() && { return std::move(items_); }

 private:
  /// The item of a header: the last one, if that has this protocol.
  MatchItem& item(MatchProtocol protocol) {
    if (items_.empty() || items_.back().protocol != protocol) items_.push_back({.protocol = protocol});
    return items_.back();
  }
  /// The same with bytes.
  MatchItem& compared(MatchProtocol protocol) {
    MatchItem& made = item(protocol);
    made.spec.resize(match_header(protocol).bytes);
    made.mask.resize(match_header(protocol).bytes);
    return made;
  }
  static void set16(std::vector<std::uint8_t>& bytes, std::size_t at, unsigned value) {
    bytes[at] = static_cast<std::uint8_t>(value >> 8);
    bytes[at + 1] = static_cast<std::uint8_t>(value);
  }
  [[nodiscard]] bool add_number(MatchProtocol protocol, std::size_t at, std::string_view text, unsigned most,
                                unsigned mask) {
    const auto value = number(text, most);
    if (!value) return false;
    MatchItem& made = compared(protocol);
    set16(made.spec, at, *value);
    set16(made.mask, at, mask);
    return true;
  }
  [[nodiscard]] bool add_ports(MatchProtocol protocol, std::string_view text) {
    constexpr std::size_t kDestination = 2;
    const auto dash = text.find('-');
    const auto first = number(text.substr(0, dash), 0xFFFF);
    const auto last = dash == std::string_view::npos ? first : number(text.substr(dash + 1), 0xFFFF);
    if (!first || !last || *last < *first) return false;
    MatchItem& made = compared(protocol);
    set16(made.spec, kDestination, *first);
    set16(made.mask, kDestination, 0xFFFF);
    if (*first == *last) return true;
    made.last.resize(made.spec.size());
    set16(made.last, kDestination, *last);
    return true;
  }
  [[nodiscard]] bool add_address(std::string_view text, bool is_source) {
    const auto slash = text.find('/');
    const std::string address(text.substr(0, slash));
    std::array<std::uint8_t, 16> bytes{};
    const bool ipv6 = address.find(':') != std::string::npos;
    if (::inet_pton(ipv6 ? AF_INET6 : AF_INET, address.c_str(), bytes.data()) != 1) return false;
    const unsigned size = ipv6 ? 16 : 4;
    const auto prefix = slash == std::string_view::npos ? 8 * size : number(text.substr(slash + 1), 8 * size);
    if (!prefix) return false;
    MatchItem& made = compared(ipv6 ? MatchProtocol::ipv6 : MatchProtocol::ipv4);
    const std::size_t at = (ipv6 ? 8U : 12U) + (is_source ? 0 : size);
    for (unsigned bit = 0; bit < *prefix; ++bit) {
      made.mask[at + bit / 8] = static_cast<std::uint8_t>(made.mask[at + bit / 8] | 0x80 >> bit % 8);
    }
    for (unsigned i = 0; i < size; ++i) made.spec[at + i] = bytes[i];
    return true;
  }

  std::vector<MatchItem> items_;
  std::vector<std::string_view> names_;
  std::string_view repeated_;
};

/// Calls `use` with each part of `text`, until it returns false.
template <class Function>
bool for_each_part(std::string_view text, char separator, Function&& use) {
  for (;;) {
    const auto end = text.find(separator);
    if (!use(text.substr(0, end))) return false;
    if (end == std::string_view::npos) return true;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

Result<std::vector<FlowRule>> parse_rules(std::string_view text, std::string_view uri) {
  std::vector<FlowRule> rules;
  if (text == "none") return rules;
  std::string_view wrong;
  std::string_view repeated;
  const bool read = for_each_part(text, ';', [&](std::string_view one) {
    RuleReader reader;
    const bool known = one == "all" || for_each_part(one, '+', [&](std::string_view term) {
                         wrong = term;
                         return reader.add(term);
                       });
    if (repeated = reader.repeated(); !repeated.empty()) return false;
    rules.push_back({.match = std::move(reader).items(), .action = to_port()});
    return known;
  });
  if (!repeated.empty()) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: '{}' is given twice in one rule", uri, repeated),
                "separate rules for different frames by ';', such as rule=udp:53;udp:54");
  }
  if (!read) return fail(ErrorCode::invalid_argument, fmt::format("{}: there is no rule '{}'", uri, wrong), kExample);
  for (const FlowRule& rule : rules) {
    if (auto valid = check_rule(rule); !valid) {
      return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", uri, valid.error().what), kExample);
    }
  }
  return rules;
}

}  // namespace pollux::xdp
