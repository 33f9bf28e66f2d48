// SPDX-License-Identifier: BSD-3-Clause
#include "vf_settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>
#include <optional>
#include <string_view>

#include "common/mac_text.hpp"

namespace pollux::tool {
namespace {

template <std::integral Number>
bool set_number(std::string_view value, Number& to) {
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), to);
  return error == std::errc() && end == value.data() + value.size();
}

/// Sets `to` where `value` is one of the two words.
bool set_word(std::string_view value, std::string_view yes, std::string_view no, bool& to) {
  to = value == yes;
  return to || value == no;
}

bool set_address(std::string_view value, std::optional<MacAddress>& to) {
  to = tools::parse_mac(std::string(value));
  return to.has_value();
}

struct Setting {
  std::string_view name;
  std::string_view values;
  /// Returns false if the value is none of `values`.
  bool (*set)(std::string_view value, VirtualFunctionConfig& config);
};

using Config = VirtualFunctionConfig;

// The names are those of `ip link set DEV vf N`. A function of this card reads the card's own link, so no setting keeps
// its link up.
constexpr std::array kSettings{
    Setting{"mac", "mac is an address, such as 02:00:00:00:00:01",
            [](std::string_view value, Config& config) { return set_address(value, config.mac); }},
    Setting{"vlan", "vlan is 0 (none) to 4094",
            [](std::string_view value, Config& config) { return set_number(value, config.vlan); }},
    Setting{"qos", "qos is 0 to 7, and needs a vlan",
            [](std::string_view value, Config& config) { return set_number(value, config.qos); }},
    Setting{"rate", "rate is in Mb/s; 0 is no limit",
            [](std::string_view value, Config& config) { return set_number(value, config.max_rate); }},
    Setting{"spoofcheck", "spoofcheck is on or off",
            [](std::string_view value, Config& config) { return set_word(value, "on", "off", config.spoof_check); }},
    Setting{"trust", "trust is on or off",
            [](std::string_view value, Config& config) { return set_word(value, "on", "off", config.trusted); }},
    Setting{"link", "link is auto (the card's own link) or off; this card cannot keep a function's link up",
            [](std::string_view value, Config& config) { return set_word(value, "auto", "off", config.enabled); }}};

tl::unexpected<Error> refuse_settings(const std::string& text, const std::string& what, std::string_view hint) {
  return fail(ErrorCode::invalid_argument, fmt::format("--vf {}: {}", text, what), std::string(hint));
}

Result<void> apply_setting(const std::string& text, std::string_view part, VirtualFunctionConfig& config) {
  const auto equals = std::min(part.find('='), part.size());
  const std::string_view name = part.substr(0, equals);
  const auto* const setting = std::ranges::find(kSettings, name, &Setting::name);
  if (setting == kSettings.end()) {
    return refuse_settings(text, fmt::format("'{}' is not a setting", name),
                           "settings are mac, vlan, qos, rate, spoofcheck, trust and link");
  }
  if (equals != part.size() && setting->set(part.substr(equals + 1), config)) return {};
  return refuse_settings(text, fmt::format("'{}' has no such value", part), setting->values);
}

}  // namespace

Result<FunctionSettings> parse_function_settings(const std::string& text) {
  const auto colon = std::min(text.find(':'), text.size());
  FunctionSettings parsed;
  if (colon == text.size() || !set_number(std::string_view(text).substr(0, colon), parsed.number)) {
    return refuse_settings(text, "this is not NUMBER:SETTING=VALUE", "write --vf 0:mac=02:00:00:00:00:01,vlan=7");
  }
  std::string_view rest = std::string_view(text).substr(colon + 1);
  for (;;) {
    const auto comma = std::min(rest.find(','), rest.size());
    if (auto applied = apply_setting(text, rest.substr(0, comma), parsed.config); !applied) {
      return pass_on(std::move(applied));
    }
    if (comma == rest.size()) return parsed;
    rest.remove_prefix(comma + 1);
  }
}

Result<std::vector<FunctionSettings>> parse_all_settings(const std::vector<std::string>& texts) {
  std::vector<FunctionSettings> all;
  for (const std::string& text : texts) {
    auto parsed = parse_function_settings(text);
    if (!parsed) return pass_on(std::move(parsed));
    if (std::ranges::find(all, parsed->number, &FunctionSettings::number) != all.end()) {
      return refuse_settings(text, fmt::format("function {} was named before", parsed->number),
                             "give all settings of a function in one --vf, separated by commas");
    }
    all.push_back(*std::move(parsed));
  }
  return all;
}

std::string settings_text(const VirtualFunctionConfig& config) {
  std::string text = config.mac ? to_string(*config.mac) : "an address of its own";
  if (config.vlan != 0) text += fmt::format(", VLAN {}", config.vlan);
  if (config.qos != 0) text += fmt::format(", priority {}", config.qos);
  if (config.max_rate != 0) text += fmt::format(", at most {} Mb/s", config.max_rate);
  return text + fmt::format(", spoof check {}, trust {}, link {}", config.spoof_check ? "on" : "off",
                            config.trusted ? "on" : "off", config.enabled ? "auto" : "off");
}

nlohmann::json settings_json(const VirtualFunctionConfig& config) {
  nlohmann::json json{{"mac", nullptr},
                      {"vlan", config.vlan},
                      {"qos", config.qos},
                      {"rate", config.max_rate},
                      {"spoofcheck", config.spoof_check},
                      {"trust", config.trusted},
                      {"link", config.enabled ? "auto" : "off"}};
  if (config.mac) json["mac"] = to_string(*config.mac);
  return json;
}

}  // namespace pollux::tool
