// SPDX-License-Identifier: BSD-3-Clause
// Methods that act on a port: start and stop it, its link, its light, its self-test.
#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "observe/methods.hpp"
#include "observe/port_json.hpp"
#include "pollux/net/identify_led.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/self_test.hpp"

namespace pollux::observe {
namespace {

Result<Json> start(Server&, NamedPort& named, const Params&) { return done(named.port->start()); }

Result<Json> stop(Server&, NamedPort& named, const Params&) { return done(named.port->stop()); }

// A start begins with a reset of the card. Frames in the rings are lost, and counted.
Result<Json> reset(Server&, NamedPort& named, const Params&) {
  if (auto stopped = named.port->stop(); !stopped) return pass_on(std::move(stopped));
  return done(named.port->start());
}

Result<Json> restart_link(Server&, NamedPort& named, const Params&) {
  const auto control = need<LinkControl>(named);
  if (!control) return tl::unexpected<Error>(control.error());
  return done((*control)->restart_negotiation());
}

Result<Json> set_phy(Server&, NamedPort& named, const Params& params) {
  const auto enabled = params.flag("enabled");
  if (!enabled) return tl::unexpected<Error>(enabled.error());
  const auto control = need<LinkControl>(named);
  if (!control) return tl::unexpected<Error>(control.error());
  return done((*control)->set_phy_enabled(*enabled));
}

constexpr std::array kLedModes{
    std::pair{std::string_view("automatic"), LedMode::automatic}, std::pair{std::string_view("off"), LedMode::off},
    std::pair{std::string_view("on"), LedMode::on}, std::pair{std::string_view("blink"), LedMode::blink}};

Result<Json> set_led(Server&, NamedPort& named, const Params& params) {
  const auto mode = params.text("mode");
  if (!mode) return tl::unexpected<Error>(mode.error());
  const auto led = need<IdentifyLed>(named);
  if (!led) return tl::unexpected<Error>(led.error());
  for (const auto& [name, value] : kLedModes) {
    if (name == *mode) return done((*led)->set_led(value));
  }
  return fail(ErrorCode::invalid_argument, fmt::format("'{}' is no mode of a light", *mode),
              "modes are automatic, off, on and blink");
}

Json results_json(const std::vector<SelfTestResult>& results) {
  Json all = Json::array();
  for (const SelfTestResult& result : results)
    all.push_back(
        {{"part", to_string(result.part)}, {"outcome", to_string(result.outcome)}, {"detail", result.detail}});
  return all;
}

/// Stops a started port for the test, and starts it afterwards.
Result<Json> test_offline(NamedPort& named, const Capability<SelfTest>& test, bool interrupt) {
  Port& port = *named.port;
  const bool was_started = port.state() == PortState::started;
  if (was_started && !interrupt) {
    return fail(ErrorCode::busy, port.info().name + " is started: an offline self-test would stop its traffic",
                R"(send "interrupt":true to stop it for the test, some 12 seconds, or "offline":false)");
  }
  if (was_started) {
    if (auto stopped = port.stop(); !stopped) return pass_on(std::move(stopped));
  }
  const auto results = test->test_offline();
  if (was_started) {
    if (auto started = port.start(); !started) return pass_on(std::move(started));
  }
  if (!results) return tl::unexpected<Error>(results.error());
  return results_json(*results);
}

Result<Json> self_test(Server&, NamedPort& named, const Params& params) {
  const auto offline = params.flag_or("offline", false);
  if (!offline) return tl::unexpected<Error>(offline.error());
  const auto interrupt = params.flag_or("interrupt", false);
  if (!interrupt) return tl::unexpected<Error>(interrupt.error());
  const auto test = need<SelfTest>(named);
  if (!test) return tl::unexpected<Error>(test.error());
  if (*offline) return test_offline(named, *test, *interrupt);
  const auto results = (*test)->test_online();
  if (!results) return tl::unexpected<Error>(results.error());
  return results_json(*results);
}

constexpr std::array kControlMethods{
    MethodEntry{.name = "port.start", .changes = true, .of_port = start},
    MethodEntry{.name = "port.stop", .changes = true, .of_port = stop},
    MethodEntry{.name = "port.reset", .changes = true, .of_port = reset},
    MethodEntry{.name = "port.restart_link", .changes = true, .of_port = restart_link},
    MethodEntry{.name = "port.set_phy", .changes = true, .of_port = set_phy},
    MethodEntry{.name = "port.set_led", .changes = true, .of_port = set_led},
    MethodEntry{.name = "port.self_test", .changes = true, .of_port = self_test},
};

}  // namespace

std::span<const MethodEntry> control_methods() noexcept { return kControlMethods; }

}  // namespace pollux::observe
