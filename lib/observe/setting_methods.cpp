// SPDX-License-Identifier: BSD-3-Clause
// Methods that change settings of a port.
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "net/config_check.hpp"
#include "observe/methods.hpp"
#include "observe/port_json.hpp"
#include "observe/setting_fields.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/identify_led.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/rss.hpp"
#include "pollux/net/self_test.hpp"

namespace pollux::observe {
namespace {

constexpr std::uint64_t kMax16 = 0xFFFF;
constexpr std::uint64_t kMax32 = 0xFFFF'FFFF;

Result<Json> set_mac(Server&, NamedPort& named, const Params& params) {
  MacAddress mac{};
  if (auto read = FieldReader().read_all(params.value("mac"), mac); !read) return pass_on(std::move(read));
  return done(named.port->set_mac(mac));
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

// Parameters that are left out keep their values; "forced":null negotiates.
Result<Json> set_link(Server&, NamedPort& named, const Params& params) {
  const auto control = need<LinkControl>(named);
  if (!control) return tl::unexpected<Error>(control.error());
  LinkConfig config = (*control)->link_config();
  if (params.contains("advertised")) config.forced = {};
  if (auto read = FieldReader().read_some(params.all(), config); !read) return pass_on(std::move(read));
  return done((*control)->set_link_config(config));
}

Result<Json> set_pause(Server&, NamedPort& named, const Params& params) {
  const auto control = need<FlowControl>(named);
  if (!control) return tl::unexpected<Error>(control.error());
  FlowControlConfig config = (*control)->flow_control().config;
  FieldReader reader;
  auto read = reader.read_some(params.all(), config);
  if (read) read = reader.read_some(params.all(), config.pause);
  return read ? done((*control)->set_flow_control(config)) : pass_on(std::move(read));
}

Result<Json> set_rss(Server&, NamedPort& named, const Params& params) {
  RssConfig config = effective_rss(named.port->settings(), named.port->info().limits);
  if (auto read = FieldReader().read_some(params.all(), config); !read) return pass_on(std::move(read));
  return done(named.port->change([&](Settings& settings) { settings.rss = config; }));
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
  return done(named.port->change([&](Settings& settings) { settings.vlan_stripping = *on; }));
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

Result<Json> set_phy(Server&, NamedPort& named, const Params& params) {
  const auto enabled = params.flag("enabled");
  if (!enabled) return tl::unexpected<Error>(enabled.error());
  const auto control = need<LinkControl>(named);
  if (!control) return tl::unexpected<Error>(control.error());
  return done((*control)->set_phy_enabled(*enabled));
}

Result<Json> set_led(Server&, NamedPort& named, const Params& params) {
  LedMode mode{};
  if (auto read = FieldReader().read_all(params.value("mode"), mode); !read) return pass_on(std::move(read));
  return done(named.port->change([=](Settings& settings) { settings.led = mode; }));
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
    MethodEntry{.name = "port.start", .changes = true, .of_port = start},
    MethodEntry{.name = "port.stop", .changes = true, .of_port = stop},
    MethodEntry{.name = "port.reset", .changes = true, .of_port = reset},
    MethodEntry{.name = "port.restart_link", .changes = true, .of_port = restart_link},
    MethodEntry{.name = "port.set_phy", .changes = true, .of_port = set_phy},
    MethodEntry{.name = "port.set_led", .changes = true, .of_port = set_led},
    MethodEntry{.name = "port.self_test", .changes = true, .of_port = self_test},
};

}  // namespace

std::span<const MethodEntry> setting_methods() noexcept { return kSettingMethods; }

}  // namespace pollux::observe
