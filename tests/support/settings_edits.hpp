// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/error.hpp"
#include "pollux/net/settings.hpp"

namespace pollux::test {

/// For Port::change: the port receives that VLAN, or does not any more.
[[nodiscard]] inline auto with_vlan(std::uint16_t vlan, bool receive = true) {
  return [=](Settings& settings) {
    if (!settings.vlans) settings.vlans.emplace();
    settings.vlans->set(vlan, receive);
  };
}

/// Adds a rule to a port, and returns its id.
template <class Port>
[[nodiscard]] Result<FlowRuleId> add_rule(Port& port, const FlowRule& rule) {
  FlowRuleId id{};
  return port.change([&](Settings& settings) { id = pollux::add_rule(settings, rule); }).map([&] { return id; });
}
template <class Port>
[[nodiscard]] Result<void> remove_rule(Port& port, FlowRuleId id) {
  return port.change([=](Settings& settings) { settings.rules.erase(id); });
}

/// Enables that many virtual functions, with default settings.
template <class Port>
[[nodiscard]] Result<void> set_functions(Port& port, unsigned count) {
  return port.change([=](Settings& settings) { settings.functions.assign(count, {}); });
}
template <class Port>
[[nodiscard]] Result<void> set_function(Port& port, unsigned number, const VirtualFunctionConfig& config) {
  if (number >= port.settings().functions.size()) return fail(ErrorCode::invalid_argument, "no such function");
  return port.change([&](Settings& settings) { settings.functions[number] = config; });
}

/// Lets the clock of a port run, and returns its frequency in force, in ppb.
template <class Port>
[[nodiscard]] Result<double> run_clock(Port& port, double ppb = 0) {
  return port.change([=](Settings& settings) { settings.clock_frequency = ppb; }).map([&] {
    return *port.settings().clock_frequency;
  });
}

/// RSS as it is in force on a port.
[[nodiscard]] inline RssConfig rss_of(const auto& port) { return effective_rss(port.settings(), port.info().limits); }

}  // namespace pollux::test
