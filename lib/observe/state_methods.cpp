// SPDX-License-Identifier: BSD-3-Clause
// Methods that read the state of a port.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "net/json/setting_members.hpp"
#include "net/json/settings_json.hpp"
#include "net/port_identity.hpp"
#include "observe/methods.hpp"
#include "observe/port_json.hpp"
#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/nvm.hpp"
#include "pollux/net/port_clock.hpp"
#include "pollux/net/port_facts.hpp"
#include "pollux/net/port_info.hpp"
#include "pollux/net/register_dump.hpp"
#include "pollux/net/self_test.hpp"
#include "pollux/net/stats.hpp"
#include "pollux/net/wake_on_lan.hpp"

namespace pollux::observe {
namespace {

Result<Json> info(Server&, NamedPort& named, const Params&) {
  Port& port = *named.port;
  const PortInfo& info = port.info();
  Json facts = Json::object();
  if (const auto known = port.capability<PortFacts>()) {
    for (const PortFact& fact : known->facts()) facts[std::string(fact.name)] = fact.value;
  }
  return Json{{"name", named.name},
              {"uri", info.name},
              {"driver", info.driver},
              {"card", info.card},
              {"backend", info.backend},
              {"index", info.index},
              {"numa_node", info.numa_node},
              {"state", state_name(port.state())},
              {"mac", to_string(port.mac())},
              {"permanent_mac", to_string(port.permanent_mac())},
              {"mtu", port.settings().mtu},
              {"burst_mode", name(port.config().burst_mode)},
              {"limits", limits_json(info.limits)},
              {"missed_count", info.missed_count == MissedCount::exact ? "exact" : "lower_bound"},
              {"settings", setting_names(info.supports)},
              {"capabilities", port.capabilities()},
              {"facts", std::move(facts)}};
}

Result<Json> settings(Server&, NamedPort& named, const Params&) {
  const Settings settings = named.port->settings();
  return Json{{"settings", json::settings_json(settings)}, {"tag", settings_tag(settings)}};
}

Result<Json> stats(Server& server, NamedPort& named, const Params&) {
  Json json{{"time_ns", server.context.clock().now().count()}, {"state", state_name(named.port->state())}};
  json.update(stats_json(named.port->stats()));
  return json;
}

Result<Json> queues(Server& server, NamedPort& named, const Params&) {
  Json json{{"time_ns", server.context.clock().now().count()}};
  json.update(queues_json(named.port->stats(), named.port->config(), *named.port));
  return json;
}

Result<Json> xstats(Server& server, NamedPort& named, const Params&) {
  Json counters = Json::object();
  for (const Counter& counter : named.port->extended_stats()) counters[counter.name] = counter.value;
  return Json{{"time_ns", server.context.clock().now().count()}, {"counters", std::move(counters)}};
}

Result<Json> registers(Server&, NamedPort& named, const Params& params) {
  const auto with_fields = params.flag_or("fields", false);
  if (!with_fields) return tl::unexpected<Error>(with_fields.error());
  const auto dump = need<RegisterDump>(named);
  if (!dump) return tl::unexpected<Error>(dump.error());
  Json all = Json::array();
  for (const RegisterValue& value : (*dump)->registers()) {
    Json one{{"name", value.name}, {"offset", value.offset}, {"value", value.value}};
    if (*with_fields) {
      one["fields"] = Json::object();
      for (const FieldInfo& field : value.fields)
        one["fields"][std::string(field.name)] = (value.value & field.mask()) >> field.lo;
    }
    all.push_back(std::move(one));
  }
  return all;
}

Result<Json> link(Server&, NamedPort& named, const Params& params) {
  const auto with_details = params.flag_or("details", false);
  if (!with_details) return tl::unexpected<Error>(with_details.error());
  Json json = link_json(named.port->link());
  if (!*with_details) return json;
  json["details"] = nullptr;
  const auto control = named.port->capability<LinkControl>();
  if (!control) return json;
  const auto details = control->link_details();
  if (!details) return tl::unexpected<Error>(details.error());
  json["details"] = details_json(*details);
  json["details"]["supported"] = json::Leaf<LinkModes>::write(named.port->info().limits.link_modes);
  json["details"]["advertised"] =
      json::Leaf<LinkModes>::write(advertised_modes(named.port->settings(), named.port->info().limits));
  return json;
}

Result<Json> offloads(Server&, NamedPort& named, const Params&) { return offloads_json(named.port->offloads()); }

Result<Json> rss(Server&, NamedPort& named, const Params&) {
  const PortInfo& info = named.port->info();
  if (auto has = need_setting(named, Setting::rss); !has) return pass_on(std::move(has));
  return rss_json(effective_rss(named.port->settings(), info.limits), info.limits.rss_table);
}

Result<Json> flow_control(Server&, NamedPort& named, const Params&) {
  const auto control = need<FlowControl>(named);
  if (!control) return tl::unexpected<Error>(control.error());
  return flow_control_json((*control)->flow_control());
}

// A port whose vectors are not enabled has none.
Result<Json> interrupts(Server&, NamedPort& named, const Params&) {
  const auto interrupts = need<Interrupts>(named);
  if (!interrupts) return tl::unexpected<Error>(interrupts.error());
  const auto vectors = (*interrupts)->rx_vectors();
  const std::size_t count = named.port->config().rx.size();
  Json queues = Json::array();
  for (std::size_t i = 0; i < count; ++i) {
    queues.push_back({{"vector", vectors && i < vectors->size() ? Json((*vectors)[i]) : Json(nullptr)}});
  }
  const auto longest = std::chrono::duration_cast<std::chrono::microseconds>(Interrupts::kMaxInterval).count();
  return Json{{"rx", std::move(queues)}, {"max_interval_us", longest}};
}

Result<Json> time(Server&, NamedPort& named, const Params&) {
  const auto clock = need<PortClock>(named);
  if (!clock) return tl::unexpected<Error>(clock.error());
  const auto now = (*clock)->time();
  if (!now) return tl::unexpected<Error>(now.error());
  const PortClockLimits& limits = named.port->info().limits.clock;
  return Json{{"time_ns", now->count()}, {"max_frequency_ppb", limits.max_frequency}, {"tick_ns", limits.tick.count()}};
}

Result<Json> watch(Server& server, NamedPort& named, const Params& params) {
  const auto on = params.flag("on");
  if (!on) return tl::unexpected<Error>(on.error());
  const auto lock = server.meters.lock();
  if (*on) return done(server.meters.watch(named.port, server.client));
  server.meters.unwatch(named.port, server.client);
  return Json(nullptr);
}

Result<Json> histograms(Server& server, NamedPort& named, const Params&) {
  const auto lock = server.meters.lock();
  const PortMeters::Queues* const meters = server.meters.find(named.port);
  if (meters == nullptr) return Json(nullptr);
  return meters_json(*meters, server.meters.cycles_per_second());
}

// Methods about what belongs to a card: its NVM, wake-up events, VLAN tags and time stamps.

/// So many words of the NVM are read or written by one request. A page of 4 words takes some 10 ms to write.
constexpr std::uint64_t kMaxNvmRead = 4096;
constexpr std::size_t kMaxNvmWrite = 64;
constexpr std::uint64_t kMaxNvmWord = 0xFFFF;

Json version_json(const NvmVersion& version) {
  Json json{{"major", version.major}, {"minor", version.minor}, {"image", version.image}, {"track_id", nullptr}};
  if (version.track_id) json["track_id"] = *version.track_id;
  return json;
}

Result<Json> nvm(Server&, NamedPort& named, const Params& params) {
  const auto first = params.number_or("first", 0, 0, kMaxNvmWord);
  const auto count = params.number_or("count", 0, 0, kMaxNvmRead);
  for (const auto* number : {&first, &count}) {
    if (!*number) return tl::unexpected<Error>(number->error());
  }
  const auto memory = need<Nvm>(named);
  if (!memory) return tl::unexpected<Error>(memory.error());
  const auto info = (*memory)->nvm_info();
  if (!info) return tl::unexpected<Error>(info.error());
  Json json{{"words", info->words},
            {"vendor_id", info->vendor_id},
            {"device_id", info->device_id},
            {"checksum_holds", info->checksum_holds},
            {"version", version_json(info->version)},
            {"data", Json::array()}};
  if (*count == 0) return json;
  const auto words = (*memory)->read_nvm(static_cast<std::uint32_t>(*first), static_cast<std::uint32_t>(*count));
  if (!words) return tl::unexpected<Error>(words.error());
  json["data"] = *words;
  return json;
}

Result<std::vector<std::uint16_t>> nvm_words(const Json& data) {
  std::vector<std::uint16_t> words;
  const bool fits = data.is_array() && !data.empty() && data.size() <= kMaxNvmWrite;
  for (std::size_t i = 0; fits && i < data.size(); ++i) {
    if (!data[i].is_number_unsigned() || data[i].get<std::uint64_t>() > kMaxNvmWord) break;
    words.push_back(data[i].get<std::uint16_t>());
  }
  if (fits && words.size() == data.size()) return words;
  return fail(ErrorCode::invalid_argument, "'data' is not a list of words",
              fmt::format("list 1 to {} numbers from 0 to {}", kMaxNvmWrite, kMaxNvmWord));
}

Result<Json> write_nvm(Server&, NamedPort& named, const Params& params) {
  const auto first = params.number("first", 0, kMaxNvmWord);
  if (!first) return tl::unexpected<Error>(first.error());
  const auto words = nvm_words(params.value("data"));
  if (!words) return tl::unexpected<Error>(words.error());
  const auto memory = need<Nvm>(named);
  if (!memory) return tl::unexpected<Error>(memory.error());
  return done((*memory)->write_nvm(static_cast<std::uint32_t>(*first), *words));
}

Result<Json> wake(Server&, NamedPort& named, const Params&) {
  const auto wake = need<WakeOnLan>(named);
  if (!wake) return tl::unexpected<Error>(wake.error());
  auto support = (*wake)->wake_support();
  if (!support) return tl::unexpected<Error>(support.error());
  return Json{{"supported", json::FieldWriter::write(*support)}};
}

constexpr std::array kStateMethods{
    MethodEntry{.name = "port.info", .of_port = info},
    MethodEntry{.name = "port.settings", .of_port = settings},
    MethodEntry{.name = "port.stats", .of_port = stats},
    MethodEntry{.name = "port.queues", .of_port = queues},
    MethodEntry{.name = "port.xstats", .of_port = xstats},
    MethodEntry{.name = "port.registers", .of_port = registers},
    MethodEntry{.name = "port.link", .of_port = link},
    MethodEntry{.name = "port.offloads", .of_port = offloads},
    MethodEntry{.name = "port.rss", .of_port = rss},
    MethodEntry{.name = "port.flow_control", .of_port = flow_control},
    MethodEntry{.name = "port.interrupts", .of_port = interrupts},
    MethodEntry{.name = "port.time", .of_port = time},
    MethodEntry{.name = "port.watch", .of_port = watch},
    MethodEntry{.name = "port.histograms", .of_port = histograms},
    MethodEntry{.name = "port.nvm", .of_port = nvm},
    MethodEntry{.name = "port.write_nvm", .changes = true, .of_port = write_nvm},
    MethodEntry{.name = "port.wake", .of_port = wake},
};

}  // namespace

std::span<const MethodEntry> state_methods() noexcept { return kStateMethods; }

}  // namespace pollux::observe
