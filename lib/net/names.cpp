// SPDX-License-Identifier: BSD-3-Clause
#include <array>

#include <fmt/format.h>

#include "pollux/net/link.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/self_test.hpp"
#include "pollux/net/virtual_functions.hpp"

namespace pollux {

std::string to_string(LinkMode mode) {
  return fmt::format("{}/{}", speed_of(mode), duplex_of(mode) == Duplex::half ? "half" : "full");
}

std::string to_string(const LinkModes& modes) {
  std::string all;
  for (const LinkMode mode : kLinkModes) {
    if (!modes.contains(mode)) continue;
    if (!all.empty()) all += ' ';
    all += to_string(mode);
  }
  return all.empty() ? "none" : all;
}

std::optional<LinkMode> parse_link_mode(std::string_view text) {
  for (const LinkMode mode : kLinkModes) {
    if (to_string(mode) == text) return mode;
  }
  return std::nullopt;
}

Result<void> check_link_config(std::string_view port, const LinkConfig& config, const LinkModes& supported) {
  const std::string hint = fmt::format("the port's modes are {}", to_string(supported));
  if (config.forced) {
    if (speed_of(*config.forced) >= 1000) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{}: {} Mb/s cannot be forced", port, speed_of(*config.forced)),
                  fmt::format("1000 Mb/s and more need negotiation (IEEE 802.3): advertise {} alone",
                              to_string(*config.forced)));
    }
    if (supported.contains(*config.forced)) return {};
    return fail(ErrorCode::not_supported, fmt::format("{}: {} is not supported", port, to_string(*config.forced)),
                hint);
  }
  if (config.advertised.empty()) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: no mode is advertised", port),
                "name at least one mode; to have no link, stop the PHY");
  }
  if (config.advertised == kAllLinkModes || supported.contains(config.advertised)) return {};
  return fail(ErrorCode::not_supported,
              fmt::format("{}: {} has modes that are not supported", port, to_string(config.advertised)), hint);
}

std::string to_string(const Link& link) {
  if (!link.up) return "down";
  return fmt::format("up, {} Mb/s, {} duplex", link.speed, link.duplex == Duplex::full ? "full" : "half");
}

std::string to_string(const MacAddress& mac) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

std::string_view to_string(SelfTestPart part) noexcept {
  constexpr std::array<std::string_view, 5> kNames{"registers", "nvm", "interrupts", "loopback", "link"};
  return kNames[static_cast<std::size_t>(part)];
}

std::string_view to_string(SelfTestOutcome outcome) noexcept {
  constexpr std::array<std::string_view, 3> kNames{"passed", "failed", "skipped"};
  return kNames[static_cast<std::size_t>(outcome)];
}

std::string_view to_string(VirtualFunctionRefusal refusal) noexcept {
  constexpr std::array<std::string_view, kVirtualFunctionRefusals> kNames{
      "not_ready",    "unknown_request", "address_is_set",       "invalid_address", "too_many_addresses", "vlan_is_set",
      "invalid_vlan", "too_many_vlans",  "invalid_frame_length", "promiscuous",     "mailbox_held"};
  const auto index = static_cast<std::size_t>(refusal);
  return index < kNames.size() ? kNames[index] : "unknown";
}

}  // namespace pollux
