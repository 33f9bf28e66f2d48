// SPDX-License-Identifier: BSD-3-Clause
#include "settings/asked.hpp"
#include "support/settings_edits.hpp"

#include "pollux/net/port_clock.hpp"

namespace pollux::test::settings {
namespace {

/// Calls steps until one fails.
class Steps {
 public:
  template <class Step>
  Steps& then(Step step) {
    if (!result_) return *this;
    if (auto done = step(); !done) result_ = tl::unexpected<Error>(done.error());
    return *this;
  }
  template <class Step>
  Steps& then_if(bool wanted, Step step) {
    return wanted ? then(step) : *this;
  }
  [[nodiscard]] Result<void> result() && { return std::move(result_); }

 private:
  Result<void> result_;
};

void set_filters(Steps& steps, Port& port, const Asked& asked) {
  steps
      .then_if(!asked.unicast.empty(),
               [&] { return port.change([&](Settings& settings) { settings.unicast = asked.unicast; }); })
      .then_if(!asked.multicast.empty(),
               [&] { return port.change([&](Settings& settings) { settings.multicast = asked.multicast; }); })
      .then_if(asked.strip_tags,
               [&] { return port.change([](Settings& settings) { settings.vlan_stripping = true; }); })
      .then_if(asked.outer_type.has_value(),
               [&] { return port.change([&](Settings& settings) { settings.outer_vlan_type = asked.outer_type; }); });
  if (!asked.vlans) return;
  // The first call turns the filter on.
  steps.then([&] { return port.change(test::with_vlan(1)); });
  for (const std::uint16_t vlan : *asked.vlans) steps.then([&] { return port.change(test::with_vlan(vlan)); });
  steps.then_if(!asked.vlans->contains(1), [&] { return port.change(test::with_vlan(1, false)); });
}

void set_functions(Steps& steps, Port& port, const std::vector<VirtualFunctionConfig>& functions) {
  if (functions.empty()) return;
  steps.then([&] { return test::set_functions(port, static_cast<unsigned>(functions.size())); });
  for (unsigned number = 0; number < functions.size(); ++number) {
    steps.then([&] { return test::set_function(port, number, functions[number]); });
  }
}

void set_queues(Steps& steps, Port& port, const Asked& asked) {
  steps.then_if(asked.pools != QueuePoolsConfig{},
                [&] { return port.change([&](Settings& settings) { settings.pools = asked.pools; }); });
  steps.then_if(asked.rss.has_value(),
                [&] { return port.change([&](Settings& settings) { settings.rss = *asked.rss; }); });
  for (const auto& [id, rule] : asked.rules) steps.then([&] { return test::add_rule(port, rule); });
  for (const auto& [queue, moderation] : asked.moderation)
    steps.then([&] { return port.change([&](Settings& settings) { settings.moderation[queue] = moderation; }); });
  for (const auto& [pool, rate] : asked.pool_rates)
    steps.then([&] { return port.change([&](Settings& settings) { settings.pool_tx_rates[pool] = rate; }); });
}

void set_link(Steps& steps, Port& port, const Asked& asked) {
  steps
      .then_if(asked.flow_control != FlowControlConfig{},
               [&] { return port.change([&](Settings& settings) { settings.flow_control = asked.flow_control; }); })
      .then_if(asked.link != LinkConfig{},
               [&] { return port.change([&](Settings& settings) { settings.link = asked.link; }); })
      .then_if(!asked.phy_enabled,
               [&] { return port.change([](Settings& settings) { settings.phy_enabled = false; }); })
      .then_if(asked.loopback != LoopbackMode::none,
               [&] { return port.change([&](Settings& settings) { settings.loopback = asked.loopback; }); });
}

}  // namespace

// RSS follows the pools, since its table must fit their queues. Rates precede the functions, which take queues away.
Result<void> set_all(Port& port, const Asked& asked) {
  Steps steps;
  steps.then([&] { return configure_port(port, asked.config.value_or(Settings{})); });
  steps.then_if(asked.mac.has_value(), [&] { return set_mac(port, *asked.mac); });
  for (const auto& [queue, rate] : asked.rates)
    steps.then([&] { return port.change([&](Settings& settings) { settings.tx_rates[queue] = rate; }); });
  set_functions(steps, port, asked.functions);
  set_filters(steps, port, asked);
  set_queues(steps, port, asked);
  set_link(steps, port, asked);
  steps
      .then_if(asked.clock.has_value(),
               [&] { return port.change([&](Settings& settings) { settings.clock_frequency = *asked.clock; }); })
      .then_if(asked.stamps != FrameStampsConfig{},
               [&] { return port.change([&](Settings& settings) { settings.stamps = asked.stamps; }); })
      .then_if(asked.wake.any(), [&] { return port.change([&](Settings& settings) { settings.wake = asked.wake; }); })
      .then_if(asked.led != LedMode::automatic,
               [&] { return port.change([&](Settings& settings) { settings.led = asked.led; }); });
  return std::move(steps).result();
}

}  // namespace pollux::test::settings
