// SPDX-License-Identifier: BSD-3-Clause
// Calls that concern the link, what is sent, the clock, functions and what is left.
#include <fmt/format.h>

#include <array>
#include <chrono>

#include "pollux/net/port_clock.hpp"
#include "settings/arguments.hpp"
#include "settings/call_kinds.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test::settings {

Call call_flow_control(Source& from) {
  const FlowControlConfig flow = random_flow_control(from.random);
  return {fmt::format("set_flow_control rx {} tx {} negotiated {} time {} water {} {}", flow.pause.receive,
                      flow.pause.transmit, flow.autonegotiate, flow.pause_time, flow.high_water, flow.low_water),
          pass(
              flow,
              [](Port& port, const FlowControlConfig& value) {
                return port.change([&](Settings& settings) { settings.flow_control = value; });
              },
              [](Asked& asked, const FlowControlConfig& value) { asked.flow_control = value; })};
}

Call call_link(Source& from) {
  const LinkConfig link = random_link(from.random, from.abilities);
  return {fmt::format("set_link_config {}, forced {}", to_string(link.advertised),
                      link.forced ? to_string(*link.forced) : "none"),
          pass(
              link,
              [](Port& port, const LinkConfig& value) {
                return port.change([&](Settings& settings) { settings.link = value; });
              },
              [](Asked& asked, const LinkConfig& value) { asked.link = value; })};
}

Call call_phy(Source& from) {
  if (from.random.flip())
    return {"restart_negotiation",
            [](CardPort& on) { return on.port().capability<LinkControl>()->restart_negotiation(); }};
  const bool on = !from.random.once_in(3);
  return {
      fmt::format("set_phy_enabled {}", on),
      pass(
          on,
          [](Port& port, bool value) { return port.change([&](Settings& settings) { settings.phy_enabled = value; }); },
          [](Asked& asked, bool value) { asked.phy_enabled = value; })};
}

Call call_moderation(Source& from) {
  const auto queue = from.random.below<std::uint16_t>(4);
  const InterruptModeration moderation{.interval = std::chrono::microseconds(from.random.below(0x2000)),
                                       .adaptive = from.random.once_in(4)};
  return {fmt::format("set_moderation {} to {} us, adaptive {}", queue, moderation.interval.count() / 1000,
                      moderation.adaptive),
          pass(
              moderation,
              [queue](Port& port, const InterruptModeration& value) {
                return port.change([&](Settings& settings) { settings.moderation[queue] = value; });
              },
              [queue](Asked& asked, const InterruptModeration& value) { asked.moderation[queue] = value; })};
}

Call call_rate(Source& from) {
  const auto number = from.random.below<std::uint16_t>(10);
  const std::uint32_t rate = from.random.one_of(std::array{0U, 1U, 33U, 100U, 333U, 999U, 1000U});
  if (from.random.flip()) {
    return {fmt::format("set_tx_rate {} {}", number, rate),
            pass(
                rate,
                [number](Port& port, std::uint32_t value) {
                  return port.change([&](Settings& settings) { settings.tx_rates[number] = value; });
                },
                [number](Asked& asked, std::uint32_t value) { asked.rates[number] = value; })};
  }
  return {fmt::format("set_pool_tx_rate {} {}", number, rate),
          pass(
              rate,
              [number](Port& port, std::uint32_t value) {
                return port.change([&](Settings& settings) { settings.pool_tx_rates[number] = value; });
              },
              [number](Asked& asked, std::uint32_t value) { asked.pool_rates[number] = value; })};
}

Call call_clock(Source& from) {
  const double ppb = 1000.0 * (static_cast<int>(from.random.below(200'000)) - 100'000);
  return {fmt::format("set_frequency {}", ppb),
          pass(
              ppb,
              [](Port& port, double value) {
                return port.change([&](Settings& settings) { settings.clock_frequency = value; });
              },
              [](Asked& asked, double value) { asked.clock = value; })};
}

Call call_stamps(Source& from) {
  constexpr std::array kMessages{
      StampedMessages::none,          StampedMessages::ptp1_sync, StampedMessages::ptp1_delay_request,
      StampedMessages::ptp2_ethernet, StampedMessages::ptp2_udp,  StampedMessages::ptp2};
  const FrameStampsConfig stamps{.receive = from.random.one_of(kMessages), .transmit = from.random.flip()};
  return {fmt::format("set_frame_stamps {} {}", static_cast<int>(stamps.receive), stamps.transmit),
          pass(
              stamps,
              [](Port& port, const FrameStampsConfig& value) {
                return port.change([&](Settings& settings) { settings.stamps = value; });
              },
              [](Asked& asked, const FrameStampsConfig& value) {
                if (asked.stamps != value && !asked.clock) asked.clock = 0;  // stamps run the clock
                asked.stamps = value;
              })};
}

Call call_loopback(Source& from) {
  LoopbackMode mode = from.random.one_of(std::array{LoopbackMode::none, LoopbackMode::mac, LoopbackMode::phy});
  if (!from.abilities.whole_phy && mode == LoopbackMode::phy) mode = LoopbackMode::mac;
  return {fmt::format("set_loopback {}", static_cast<int>(mode)),
          pass(
              mode,
              [](Port& port, LoopbackMode value) {
                return port.change([&](Settings& settings) { settings.loopback = value; });
              },
              [](Asked& asked, LoopbackMode value) { asked.loopback = value; })};
}

Call call_wake(Source& from) {
  const WakeEvents wake{.magic = from.random.flip(),
                        .unicast = from.random.flip(),
                        .multicast = from.random.flip(),
                        .broadcast = from.random.flip(),
                        .link_change = from.random.flip()};
  return {"set_wake_events", pass(
                                 wake,
                                 [](Port& port, const WakeEvents& value) {
                                   return port.change([&](Settings& settings) { settings.wake = value; });
                                 },
                                 [](Asked& asked, const WakeEvents& value) { asked.wake = value; })};
}

Call call_led(Source& from) {
  const LedMode mode = from.random.one_of(std::array{LedMode::automatic, LedMode::off, LedMode::on, LedMode::blink});
  return {fmt::format("set_led {}", static_cast<int>(mode)),
          pass(
              mode,
              [](Port& port, LedMode value) { return port.change([&](Settings& settings) { settings.led = value; }); },
              [](Asked& asked, LedMode value) { asked.led = value; })};
}

Call call_functions(Source& from) {
  const unsigned count = from.random.below(4);
  return {fmt::format("set_functions {}", count),
          pass(
              count, [](Port& port, unsigned value) { return test::set_functions(port, value); },
              [](Asked& asked, unsigned value) { asked.functions.assign(value, {}); })};
}

Call call_function(Source& from) {
  const unsigned number = from.random.below(3);
  if (from.random.once_in(8)) {
    return {fmt::format("reset_function {}", number),
            [number](CardPort& on) { return on.port().capability<VirtualFunctions>()->reset_function(number); }};
  }
  const VirtualFunctionConfig config = random_function(from.random);
  return {
      fmt::format("set_function {}: mac {}, vlan {}, qos {}, rate {}, spoof_check {}, trusted {}, enabled {}", number,
                  config.mac ? to_string(*config.mac) : "none", config.vlan, config.qos, config.max_rate,
                  config.spoof_check, config.trusted, config.enabled),
      pass(
          config,
          [number](Port& port, const VirtualFunctionConfig& value) { return test::set_function(port, number, value); },
          [number](Asked& asked, const VirtualFunctionConfig& value) { asked.functions[number] = value; })};
}

// The messages are those of Linux igbvf, mbx.h: the kind, and information from bit 16 on.
Call call_request(Source& from) {
  constexpr std::uint32_t kAddress = 2, kGroups = 3, kVlan = 4, kMaxFrame = 5, kPromiscuous = 6;
  constexpr std::uint32_t kInformation = 1U << 16;
  const unsigned function = from.random.below(3);
  const std::uint32_t group = from.random.below(0x1000) | from.random.below(0x1000) << 16;
  const std::uint32_t address = 0x02 | from.random.below(4) << 24;
  const std::vector<std::uint32_t> words = from.random.one_of(std::array<std::vector<std::uint32_t>, 7>{
      {{kAddress, address, 0x0100},
       {kAddress | 2 * kInformation, address, 0x0200},
       {kGroups | 2 * kInformation, group},
       {kGroups | 31 * kInformation, group},
       {kVlan | (from.random.once_in(3) ? 0 : kInformation), random_vlan(from.random)},
       {kMaxFrame, 1000 + from.random.below(8000)},
       {kPromiscuous | 2 * kInformation}}});
  return {fmt::format("function {} requests {:#x} {:#x}", function, words[0], words.size() > 1 ? words[1] : 0),
          [=](CardPort& on) -> Result<void> {
            if (on.state() != PortState::started || function >= on.asked.functions.size()) return {};
            return on.request(function, words);
          }};
}

Call call_announce(Source& from) {
  const unsigned function = from.random.below(3);
  return {fmt::format("function {} announces itself", function), [=](CardPort& on) -> Result<void> {
            if (on.state() != PortState::started || function >= on.asked.functions.size()) return {};
            return on.announce(function);
          }};
}

}  // namespace pollux::test::settings
