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

constexpr std::uint64_t kMax32 = 0xFFFF'FFFF;

std::vector<Mempool> pools_of(const Settings& settings) {
  std::set<std::shared_ptr<MempoolCore>> pools;
  for (const ValidatedRxQueue& queue : settings.queues.rx)
    pools.insert({queue.pool, queue.copy_pool, queue.header_pool});
  pools.erase(nullptr);
  return {pools.begin(), pools.end()};
}

// A merge patch (RFC 7396) of what port.settings answers.
Result<Json> change(Server&, NamedPort& named, const Params& params) {
  const Json& patch = params.value("settings");
  if (!patch.is_object()) {
    return fail(ErrorCode::invalid_argument, "'settings' is no object",
                R"(name what changes, such as "settings":{"mtu":1500}; null stands for the default)");
  }
  const Json& tag = params.value("tag");
  const PortLimits& limits = named.port->info().limits;
  Result<void> read;
  auto changed = named.port->change([&](Settings& settings) {
    if (!tag.is_null() && tag != settings_tag(settings)) {
      read = fail(ErrorCode::busy, named.name + ": the settings have changed since they were read",
                  "read them again (port.settings), and send the new tag");
      return;
    }
    Settings wanted = settings;
    // What a patch of RSS leaves out is as it was in force.
    if (!wanted.rss && patch.contains("rss") && patch["rss"].is_object()) wanted.rss = effective_rss(settings, limits);
    const std::vector<Mempool> pools = pools_of(settings);
    read = FieldReader(pools).patch(patch, wanted);
    if (read) settings = std::move(wanted);
  });
  return done(read ? std::move(changed) : std::move(read));
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
    MethodEntry{.name = "port.set_rings", .changes = true, .of_port = set_rings},
    MethodEntry{.name = "port.start", .changes = true, .of_port = start},
    MethodEntry{.name = "port.stop", .changes = true, .of_port = stop},
    MethodEntry{.name = "port.reset", .changes = true, .of_port = reset},
    MethodEntry{.name = "port.restart_link", .changes = true, .of_port = restart_link},
    MethodEntry{.name = "port.self_test", .changes = true, .of_port = self_test},
};

}  // namespace

std::span<const MethodEntry> setting_methods() noexcept { return kSettingMethods; }

}  // namespace pollux::observe
