// SPDX-License-Identifier: BSD-3-Clause
// Methods that change settings of a port.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>
#include <string_view>
#include <utility>

#include "net/config_check.hpp"
#include "observe/methods.hpp"
#include "observe/port_json.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/frame_filters.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/rss.hpp"

namespace pollux::observe {
namespace {

constexpr std::uint64_t kMax16 = 0xFFFF;
constexpr std::uint64_t kMax32 = 0xFFFF'FFFF;

tl::unexpected<Error> reject(std::string what, std::string hint) {
  return fail(ErrorCode::invalid_argument, std::move(what), std::move(hint));
}

bool parse_byte(std::string_view digits, std::uint8_t& byte) {
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, byte, 16);
  return digits.size() == 2 && error == std::errc{} && stop == end;
}

Result<MacAddress> parse_address(const std::string& text) {
  MacAddress mac{};
  bool fits = text.size() == 17;
  for (std::size_t i = 0; fits && i < mac.size(); ++i) {
    fits = parse_byte(std::string_view(text).substr(i * 3, 2), mac[i]) && (i == 0 || text[i * 3 - 1] == ':');
  }
  if (fits) return mac;
  return reject(fmt::format("'{}' is no address", text), "write six bytes like 02:00:00:00:00:01");
}

Result<Json> set_mac(Server&, NamedPort& named, const Params& params) {
  const auto text = params.text("mac");
  if (!text) return tl::unexpected<Error>(text.error());
  const auto mac = parse_address(*text);
  if (!mac) return tl::unexpected<Error>(mac.error());
  return done(named.port->set_mac(*mac));
}

Result<Json> set_mtu(Server&, NamedPort& named, const Params& params) {
  const auto bytes = params.number("mtu", 0, kMax32);
  if (!bytes) return tl::unexpected<Error>(bytes.error());
  return done(named.port->set_mtu(static_cast<std::uint32_t>(*bytes)));
}

Result<Json> set_promiscuous(Server&, NamedPort& named, const Params& params) {
  const auto on = params.flag("on");
  if (!on) return tl::unexpected<Error>(on.error());
  return done(named.port->set_promiscuous(*on));
}

Result<Json> set_all_multicast(Server&, NamedPort& named, const Params& params) {
  const auto on = params.flag("on");
  if (!on) return tl::unexpected<Error>(on.error());
  return done(named.port->set_all_multicast(*on));
}

Result<LinkMode> mode_of(const Json& word) {
  const auto mode = word.is_string() ? parse_link_mode(word.get<std::string>()) : std::nullopt;
  if (mode) return *mode;
  return reject("a mode of a link is wrong", "modes are such as 100/full: " + to_string(kAllLinkModes));
}

// Parameters that are left out keep their values; "forced":null negotiates.
Result<LinkConfig> link_config(LinkConfig config, const Params& params) {
  if (params.has("advertised")) {
    if (!params.value("advertised").is_array()) return reject("'advertised' is no list", "list modes such as 100/full");
    config.advertised = {};
    for (const Json& word : params.value("advertised")) {
      const auto mode = mode_of(word);
      if (!mode) return tl::unexpected<Error>(mode.error());
      config.advertised.insert(*mode);
    }
    config.forced = {};
  }
  if (!params.contains("forced")) return config;
  config.forced = {};
  if (!params.has("forced")) return config;
  const auto mode = mode_of(params.value("forced"));
  if (!mode) return tl::unexpected<Error>(mode.error());
  config.forced = *mode;
  return config;
}

Result<Json> set_link(Server&, NamedPort& named, const Params& params) {
  const auto control = need<LinkControl>(named);
  if (!control) return tl::unexpected<Error>(control.error());
  const auto config = link_config((*control)->link_config(), params);
  if (!config) return tl::unexpected<Error>(config.error());
  return done((*control)->set_link_config(*config));
}

// Parameters that are left out keep their values.
Result<FlowControlConfig> pause_config(FlowControlConfig config, const Params& params) {
  const auto negotiate = params.flag_or("autonegotiate", config.autonegotiate);
  const auto receive = params.flag_or("receive", config.pause.receive);
  const auto transmit = params.flag_or("transmit", config.pause.transmit);
  for (const auto* flag : {&negotiate, &receive, &transmit}) {
    if (!*flag) return tl::unexpected<Error>(flag->error());
  }
  const auto time = params.number_or("pause_time", config.pause_time, 0, kMax16);
  const auto high = params.number_or("high_water", config.high_water, 0, kMax32);
  const auto low = params.number_or("low_water", config.low_water, 0, kMax32);
  for (const auto* number : {&time, &high, &low}) {
    if (!*number) return tl::unexpected<Error>(number->error());
  }
  return FlowControlConfig{{*receive, *transmit},
                           *negotiate,
                           static_cast<std::uint16_t>(*time),
                           static_cast<std::uint32_t>(*high),
                           static_cast<std::uint32_t>(*low)};
}

Result<Json> set_pause(Server&, NamedPort& named, const Params& params) {
  const auto control = need<FlowControl>(named);
  if (!control) return tl::unexpected<Error>(control.error());
  const auto config = pause_config((*control)->flow_control().config, params);
  if (!config) return tl::unexpected<Error>(config.error());
  return done((*control)->set_flow_control(*config));
}

Result<packet::RssKey> parse_key(const std::string& text) {
  packet::RssKey key{};
  bool fits = text.size() == key.size() * 2;
  for (std::size_t i = 0; fits && i < key.size(); ++i) {
    std::uint8_t byte = 0;
    fits = parse_byte(std::string_view(text).substr(i * 2, 2), byte);
    key[i] = static_cast<packet::RssKey::value_type>(byte);
  }
  if (fits) return key;
  return reject("the key is wrong", fmt::format("write {} bytes as {} hexadecimal digits", key.size(), key.size() * 2));
}

Result<RssTypes> parse_types(const Json& names) {
  RssTypes types{0};
  if (!names.is_array()) return reject("'types' is no list", "list types such as tcp_ipv4");
  for (const Json& name : names) {
    const auto* const found = std::find_if(kRssTypeNames.begin(), kRssTypeNames.end(), [&](const RssTypeName& type) {
      return name.is_string() && name.get<std::string>() == type.name;
    });
    if (found == kRssTypeNames.end()) return reject("a type of 'types' is unknown", "types are such as tcp_ipv4, ipv6");
    types.bits |= found->bit;
  }
  return types;
}

Result<std::vector<std::uint16_t>> parse_table(const Json& queues) {
  std::vector<std::uint16_t> table;
  if (!queues.is_array()) return reject("'table' is no list", "list a receive queue for each entry");
  for (const Json& queue : queues) {
    if (!queue.is_number_unsigned() || queue.get<std::uint64_t>() > kMax16)
      return reject("an entry of 'table' is no queue", "list a receive queue for each entry");
    table.push_back(queue.get<std::uint16_t>());
  }
  return table;
}

// Parameters that are left out keep their values.
Result<RssConfig> rss_config(RssConfig config, const Params& params) {
  if (params.has("key")) {
    const auto text = params.text("key");
    if (!text) return tl::unexpected<Error>(text.error());
    const auto key = parse_key(*text);
    if (!key) return tl::unexpected<Error>(key.error());
    config.key = *key;
  }
  if (params.has("table")) {
    auto table = parse_table(params.value("table"));
    if (!table) return pass_on(std::move(table));
    config.table = *std::move(table);
  }
  if (params.has("types")) {
    const auto types = parse_types(params.value("types"));
    if (!types) return tl::unexpected<Error>(types.error());
    config.types = *types;
  }
  const auto symmetric = params.flag_or("symmetric", config.symmetric);
  if (!symmetric) return tl::unexpected<Error>(symmetric.error());
  config.symmetric = *symmetric;
  return config;
}

Result<Json> set_rss(Server&, NamedPort& named, const Params& params) {
  const auto rss = need<Rss>(named);
  if (!rss) return tl::unexpected<Error>(rss.error());
  const auto config = rss_config((*rss)->rss(), params);
  if (!config) return tl::unexpected<Error>(config.error());
  return done((*rss)->set_rss(*config));
}

Result<Json> set_moderation(Server&, NamedPort& named, const Params& params) {
  const auto queue = params.number("queue", 0, kMax16);
  const auto interval = params.number("interval_us", 0, kMax32);
  for (const auto* number : {&queue, &interval}) {
    if (!*number) return tl::unexpected<Error>(number->error());
  }
  const auto adaptive = params.flag_or("adaptive", false);
  if (!adaptive) return tl::unexpected<Error>(adaptive.error());
  const auto interrupts = need<Interrupts>(named);
  if (!interrupts) return tl::unexpected<Error>(interrupts.error());
  return done(
      (*interrupts)
          ->set_moderation(static_cast<std::uint16_t>(*queue), {std::chrono::microseconds(*interval), *adaptive}));
}

// Queues whose ring has that size already are left alone, since a restart loses the frames in the ring.
template <class Queues, class Resize>
Result<void> resize_all(const Queues& queues, std::uint64_t descriptors, Resize resize) {
  for (std::size_t i = 0; i < queues.size(); ++i) {
    if (queues[i].ring == descriptors) continue;
    if (auto done = resize(static_cast<std::uint16_t>(i)); !done) return done;
  }
  return {};
}

/// Zero: stays as it is. Ports without rings reject what follows.
Result<void> check_rings(const PortInfo& port, std::uint32_t receive, std::uint32_t transmit) {
  if (port.limits.max_ring == 0) return {};
  if (receive != 0) {
    if (auto checked = check_ring("rx.", receive, port); !checked) return checked;
  }
  return transmit == 0 ? Result<void>() : check_ring("tx.", transmit, port);
}

Result<Json> set_rings(Server&, NamedPort& named, const Params& params) {
  Port& port = *named.port;
  const EffectiveConfig config = port.config();
  const auto receive = params.number_or("receive", 0, 1, kMax32);
  const auto transmit = params.number_or("transmit", 0, 1, kMax32);
  for (const auto* number : {&receive, &transmit}) {
    if (!*number) return tl::unexpected<Error>(number->error());
  }
  const auto rx = static_cast<std::uint32_t>(*receive);
  const auto tx = static_cast<std::uint32_t>(*transmit);
  // A refused request changes nothing.
  if (auto checked = check_rings(port.info(), rx, tx); !checked) return pass_on(std::move(checked));
  if (rx != 0) {
    auto resized = resize_all(config.rx, rx, [&](std::uint16_t queue) { return port.resize_rx(queue, rx); });
    if (!resized) return pass_on(std::move(resized));
  }
  if (tx == 0) return Json(nullptr);
  return done(resize_all(config.tx, tx, [&](std::uint16_t queue) { return port.resize_tx(queue, tx); }));
}

Result<Json> set_vlan_stripping(Server&, NamedPort& named, const Params& params) {
  const auto on = params.flag("on");
  if (!on) return tl::unexpected<Error>(on.error());
  const auto stripping = need<VlanStripping>(named);
  if (!stripping) return tl::unexpected<Error>(stripping.error());
  return done((*stripping)->set_vlan_stripping(*on));
}

constexpr std::array kSettingMethods{
    MethodEntry{.name = "port.set_mac", .changes = true, .of_port = set_mac},
    MethodEntry{.name = "port.set_mtu", .changes = true, .of_port = set_mtu},
    MethodEntry{.name = "port.set_promiscuous", .changes = true, .of_port = set_promiscuous},
    MethodEntry{.name = "port.set_all_multicast", .changes = true, .of_port = set_all_multicast},
    MethodEntry{.name = "port.set_link", .changes = true, .of_port = set_link},
    MethodEntry{.name = "port.set_pause", .changes = true, .of_port = set_pause},
    MethodEntry{.name = "port.set_rss", .changes = true, .of_port = set_rss},
    MethodEntry{.name = "port.set_moderation", .changes = true, .of_port = set_moderation},
    MethodEntry{.name = "port.set_rings", .changes = true, .of_port = set_rings},
    MethodEntry{.name = "port.set_vlan_stripping", .changes = true, .of_port = set_vlan_stripping},
};

}  // namespace

std::span<const MethodEntry> setting_methods() noexcept { return kSettingMethods; }

}  // namespace pollux::observe
