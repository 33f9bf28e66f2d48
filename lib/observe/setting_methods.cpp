// SPDX-License-Identifier: BSD-3-Clause
// Methods that change settings of a port.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "net/json/settings_json.hpp"
#include "observe/methods.hpp"
#include "observe/port_json.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/port_info.hpp"
#include "pollux/net/self_test.hpp"

namespace pollux::observe {
namespace {

// A merge patch (RFC 7396) of what port.settings answers.
Result<Json> change(Server& server, NamedPort& named, const Params& params) {
  const Json& patch = params.value("settings");
  if (!patch.is_object()) {
    return fail(ErrorCode::invalid_argument, "'settings' is not an object",
                R"(name what changes, such as "settings":{"mtu":1500}; null stands for the default)");
  }
  const Json& tag = params.value("tag");
  Result<void> read;
  auto changed = named.port->change([&](Settings& settings) {
    if (!tag.is_null() && tag != settings_tag(settings)) {
      read = fail(ErrorCode::busy, named.name + ": the settings have changed since they were read",
                  "read them again (port.settings), and send the new tag");
      return;
    }
    read = json::patch_settings(settings, patch, named.port->info().limits, *server.context.state());
  });
  return done(read ? std::move(changed) : std::move(read));
}

// Methods that act on a port: start and stop it, its link, its light, its self-test.

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

constexpr std::array kSettingMethods{
    MethodEntry{.name = "port.change", .changes = true, .of_port = change},
    MethodEntry{.name = "port.start", .changes = true, .of_port = start},
    MethodEntry{.name = "port.stop", .changes = true, .of_port = stop},
    MethodEntry{.name = "port.reset", .changes = true, .of_port = reset},
    MethodEntry{.name = "port.restart_link", .changes = true, .of_port = restart_link},
    MethodEntry{.name = "port.self_test", .changes = true, .of_port = self_test},
};

}  // namespace

std::span<const MethodEntry> setting_methods() noexcept { return kSettingMethods; }

}  // namespace pollux::observe
