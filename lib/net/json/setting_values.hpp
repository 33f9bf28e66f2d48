// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "net/json/fields.hpp"
#include "net/json/flow_rule_json.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/settings.hpp"

/// The values of settings as JSON.
namespace pollux::json {

[[nodiscard]] inline bool read_hex(std::string_view digits, std::uint8_t& byte) {
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, byte, 16);
  return digits.size() == 2 && error == std::errc{} && stop == end;
}

[[nodiscard]] inline std::string to_hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

template <>
struct Leaf<Duration> {
  static std::string form() { return "a whole number of nanoseconds"; }
  static Json write(Duration value) { return value.count(); }
  static bool read(const Json& json, Duration& value) {
    Duration::rep count = 0;
    const bool fits = Leaf<Duration::rep>::read(json, count);
    if (fits) value = Duration(count);
    return fits;
  }
};

template <>
struct Leaf<double> {
  static std::string form() { return "a number"; }
  static Json write(double value) { return value; }
  static bool read(const Json& json, double& value) {
    if (json.is_number()) value = json.get<double>();
    return json.is_number();
  }
};

template <>
struct Leaf<MacAddress> {
  static std::string form() { return "an address such as 02:00:00:00:00:01"; }
  static Json write(const MacAddress& mac) { return to_string(mac); }
  static bool read(const Json& json, MacAddress& mac) {
    const std::string text = json.is_string() ? json.get<std::string>() : "";
    bool fits = text.size() == 17;
    for (std::size_t i = 0; fits && i < mac.size(); ++i)
      fits = read_hex(std::string_view(text).substr(i * 3, 2), mac[i]) && (i == 0 || text[i * 3 - 1] == ':');
    return fits;
  }
};

template <>
struct Leaf<packet::RssKey> {
  static std::string form() { return fmt::format("a key: {0} bytes as {1} hexadecimal digits", kBytes, 2 * kBytes); }
  static Json write(const packet::RssKey& key) { return to_hex(key); }
  static bool read(const Json& json, packet::RssKey& key) {
    const std::string text = json.is_string() ? json.get<std::string>() : "";
    bool fits = text.size() == 2 * kBytes;
    for (std::size_t i = 0; fits && i < kBytes; ++i) fits = read_hex(std::string_view(text).substr(i * 2, 2), key[i]);
    return fits;
  }
  static constexpr std::size_t kBytes = std::tuple_size_v<packet::RssKey>;
};

/// Types whose values have names. A set of them is written as a list of names.
template <class T>
struct Names;
template <>
struct Names<RssTypes::Bit> {
  static constexpr std::array<std::pair<RssTypes::Bit, std::string_view>, 9> kAll{
      {{RssTypes::ipv4, "ipv4"},
       {RssTypes::tcp_ipv4, "tcp_ipv4"},
       {RssTypes::udp_ipv4, "udp_ipv4"},
       {RssTypes::ipv6, "ipv6"},
       {RssTypes::tcp_ipv6, "tcp_ipv6"},
       {RssTypes::udp_ipv6, "udp_ipv6"},
       {RssTypes::ipv6_ex, "ipv6_ex"},
       {RssTypes::tcp_ipv6_ex, "tcp_ipv6_ex"},
       {RssTypes::udp_ipv6_ex, "udp_ipv6_ex"}}};
};
template <>
struct Names<LoopbackMode> {
  static constexpr std::array<std::pair<LoopbackMode, std::string_view>, 3> kAll{
      {{LoopbackMode::none, "none"}, {LoopbackMode::mac, "mac"}, {LoopbackMode::phy, "phy"}}};
};
template <>
struct Names<LedMode> {
  static constexpr std::array<std::pair<LedMode, std::string_view>, 4> kAll{
      {{LedMode::automatic, "automatic"}, {LedMode::off, "off"}, {LedMode::on, "on"}, {LedMode::blink, "blink"}}};
};
template <>
struct Names<StampedMessages> {
  static constexpr std::array<std::pair<StampedMessages, std::string_view>, 6> kAll{
      {{StampedMessages::none, "none"},
       {StampedMessages::ptp1_sync, "ptp1_sync"},
       {StampedMessages::ptp1_delay_request, "ptp1_delay_request"},
       {StampedMessages::ptp2_ethernet, "ptp2_ethernet"},
       {StampedMessages::ptp2_udp, "ptp2_udp"},
       {StampedMessages::ptp2, "ptp2"}}};
};
template <>
struct Names<BurstMode> {
  static constexpr std::array<std::pair<BurstMode, std::string_view>, 5> kAll{{{BurstMode::best, "best"},
                                                                               {BurstMode::scalar, "scalar"},
                                                                               {BurstMode::avx2, "avx2"},
                                                                               {BurstMode::avx512, "avx512"},
                                                                               {BurstMode::neon, "neon"}}};
};

template <>
struct Names<MatchProtocol> {
  static constexpr std::array<std::pair<MatchProtocol, std::string_view>, 8> kAll{{{MatchProtocol::eth, "eth"},
                                                                                   {MatchProtocol::vlan, "vlan"},
                                                                                   {MatchProtocol::ipv4, "ipv4"},
                                                                                   {MatchProtocol::ipv6, "ipv6"},
                                                                                   {MatchProtocol::tcp, "tcp"},
                                                                                   {MatchProtocol::udp, "udp"},
                                                                                   {MatchProtocol::sctp, "sctp"},
                                                                                   {MatchProtocol::raw, "raw"}}};
};
template <>
struct Names<FlowAction::Kind> {
  static constexpr std::array<std::pair<FlowAction::Kind, std::string_view>, 6> kAll{
      {{FlowAction::Kind::keep, "keep"},
       {FlowAction::Kind::queue, "queue"},
       {FlowAction::Kind::drop, "drop"},
       {FlowAction::Kind::rss, "rss"},
       {FlowAction::Kind::receive, "receive"},
       {FlowAction::Kind::kernel, "kernel"}}};
};

template <class T>
requires requires { Names<T>::kAll; }
struct Leaf<T> {
  static std::string form() {
    std::string all;
    for (const auto& [value, name] : Names<T>::kAll) all += fmt::format("{}{}", all.empty() ? "one of " : ", ", name);
    return all;
  }
  /// null for a value that has no name.
  static Json write(T value) {
    const auto* const found = std::ranges::find(Names<T>::kAll, value, &std::pair<T, std::string_view>::first);
    return found == Names<T>::kAll.end() ? Json(nullptr) : Json(found->second);
  }
  static bool read(const Json& json, T& value) {
    const auto* const found = std::ranges::find_if(
        Names<T>::kAll, [&](const auto& one) { return json.is_string() && json.get<std::string>() == one.second; });
    if (found == Names<T>::kAll.end()) return false;
    value = found->first;
    return true;
  }
};

template <>
struct Leaf<LinkMode> {
  static std::string form() { return "a mode such as 100/full: " + to_string(kAllLinkModes); }
  static Json write(LinkMode mode) { return to_string(mode); }
  static bool read(const Json& json, LinkMode& mode) {
    const auto found = json.is_string() ? parse_link_mode(json.get<std::string>()) : std::nullopt;
    if (found) mode = *found;
    return found.has_value();
  }
};

/// Reads a list; `insert` takes each value.
template <class T, class Insert>
[[nodiscard]] bool read_set(const Json& json, Insert insert) {
  if (!json.is_array()) return false;
  return std::ranges::all_of(json, [&](const Json& one) {
    T value{};
    return Leaf<T>::read(one, value) && insert(value);
  });
}

template <>
struct Leaf<RssTypes> {
  static std::string form() { return "a list of types: each " + Leaf<RssTypes::Bit>::form(); }
  static Json write(const RssTypes& types) {
    Json list = Json::array();
    for (const auto& [bit, name] : Names<RssTypes::Bit>::kAll) {
      if (types.has(bit)) list.push_back(name);
    }
    return list;
  }
  static bool read(const Json& json, RssTypes& types) {
    types.bits = 0;
    return read_set<RssTypes::Bit>(json, [&](RssTypes::Bit bit) { return (types.bits |= bit) != 0; });
  }
};

template <>
struct Leaf<LinkModes> {
  static std::string form() { return "a list of modes: each " + Leaf<LinkMode>::form(); }
  static Json write(const LinkModes& modes) {
    Json list = Json::array();
    for (const LinkMode mode : kLinkModes) {
      if (modes.contains(mode)) list.push_back(to_string(mode));
    }
    return list;
  }
  static bool read(const Json& json, LinkModes& modes) {
    modes = {};
    return read_set<LinkMode>(json, [&](LinkMode mode) { return modes.insert(mode), true; });
  }
};

/// Adds a member that the object does not have. Json's own way looks for it among all others.
inline void add_key(Json& object, std::string name) {
  object.get_ref<Json::object_t&>().push_back({std::move(name), true});
}

/// Reads an object whose members are true, so that a merge patch adds and removes single ones; `insert` takes the
/// names.
template <class Insert>
[[nodiscard]] bool read_keys(const Json& json, Insert insert) {
  return json.is_object() && std::ranges::all_of(json.items(), [&](const auto& one) {
           return one.value() == Json(true) && insert(one.key());
         });
}

/// A merge patch of such an object: `change` takes each name, and whether it is there from now on. A name may be
/// written in several ways, so names are not compared as text.
template <class Change>
[[nodiscard]] bool patch_keys(const Json& json, Change change) {
  return std::ranges::all_of(json.items(), [&](const auto& one) {
    const bool is_there = one.value() == Json(true);
    return (is_there || one.value().is_null()) && change(one.key(), is_there);
  });
}

template <>
struct Leaf<std::vector<MacAddress>> {
  static std::string form() { return R"(an object such as {"02:00:00:00:00:01":true})"; }
  static Json write(const std::vector<MacAddress>& all) {
    Json object = Json::object();
    for (const MacAddress& mac : all) add_key(object, to_string(mac));
    return object;
  }
  static bool read(const Json& json, std::vector<MacAddress>& all) {
    all.clear();
    return read_keys(json, [&](const std::string& key) { return Leaf<MacAddress>::read(key, all.emplace_back()); });
  }
  static bool patch(const Json& json, std::vector<MacAddress>& all) {
    return patch_keys(json, [&](const std::string& key, bool is_there) {
      MacAddress mac{};
      if (!Leaf<MacAddress>::read(key, mac)) return false;
      std::erase(all, mac);
      if (is_there) all.push_back(mac);
      return true;
    });
  }
};

template <>
struct Leaf<VlanSet> {
  static std::string form() {
    return fmt::format(R"(an object of numbers from 0 to {}, such as {{"7":true}})", VlanSet().size() - 1);
  }
  static Json write(const VlanSet& vlans) {
    Json object = Json::object();
    for (std::size_t vlan = 0; vlan < vlans.size(); ++vlan) {
      if (vlans.test(vlan)) add_key(object, std::to_string(vlan));
    }
    return object;
  }
  static bool read(const Json& json, VlanSet& vlans) {
    vlans.reset();
    return read_keys(json, [&](const std::string& key) { return set(vlans, key, true); });
  }
  static bool patch(const Json& json, VlanSet& vlans) {
    return patch_keys(json, [&](const std::string& key, bool is_there) { return set(vlans, key, is_there); });
  }
  static bool set(VlanSet& vlans, const std::string& key, bool is_there) {
    std::uint16_t vlan = 0;
    const bool fits = Leaf<std::uint16_t>::read(Json::parse(key, nullptr, false), vlan) && vlan < vlans.size();
    if (fits) vlans.set(vlan, is_there);
    return fits;
  }
};

template <>
struct Leaf<FlowRuleId> {
  using Number = std::underlying_type_t<FlowRuleId>;
  static std::string form() { return Leaf<Number>::form(); }
  static Json write(FlowRuleId id) { return static_cast<Number>(id); }
  static bool read(const Json& json, FlowRuleId& id) {
    Number number = 0;
    const bool fits = Leaf<Number>::read(json, number);
    id = FlowRuleId{number};
    return fits;
  }
};

template <>
struct Leaf<FlowRule> {
  static std::string form() { return "a flow rule that clients can add"; }
  static Json write(const FlowRule& rule) { return flow_rule_json(rule); }
  static bool read(const Json& json, FlowRule& rule) {
    auto parsed = parse_flow_rule(json);
    if (!parsed) return false;
    rule = *std::move(parsed);
    return true;
  }
  static Error why(const Json& json) { return parse_flow_rule(json).error(); }
};

}  // namespace pollux::json
