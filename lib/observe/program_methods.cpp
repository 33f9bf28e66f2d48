// SPDX-License-Identifier: BSD-3-Clause
// Methods about the program: itself, its ports and pools, its account.
#include <unistd.h>

#include <cerrno>
#include <map>

#include "net/port_state.hpp"
#include "observe/methods.hpp"
#include "observe/port_json.hpp"
#include "observe/version.hpp"

namespace pollux::observe {
namespace {

Result<Json> methods(Server&, const Params&) { return list_methods(); }

Result<Json> process(Server& server, const Params&) {
  const ClientCounts& counts = server.counts;
  return Json{{"pid", ::getpid()},
              {"program", server.options.program},
              {"version", POLLUX_VERSION},
              {"protocol", 1},
              {"uid", ::geteuid()},
              {"read_only", server.options.read_only},
              {"captures", permits_captures(server.options)},
              {"clients",
               {{"connected", counts.connected},
                {"accepted", counts.accepted},
                {"denied", counts.denied},
                {"too_many", counts.too_many},
                {"too_slow", counts.too_slow},
                {"too_long", counts.too_long},
                {"idle", counts.idle},
                {"requests", counts.requests},
                {"errors", counts.errors}}}};
}

Result<Json> ports(Server& server, const Params&) {
  Json all = Json::array();
  for (NamedPort& named : server.ports.all()) {
    const PortInfo& info = named.port->info();
    all.push_back({{"name", named.name},
                   {"uri", info.name},
                   {"driver", info.driver},
                   {"card", info.card},
                   {"backend", info.backend},
                   {"state", state_name(named.port->state())}});
  }
  return all;
}

Result<Json> account(Server& server, const Params&) {
  const auto taken = server.options.account ? server.options.account() : std::nullopt;
  if (!taken) return Json(nullptr);
  const TelemetryAccount& account = *taken;
  std::uint64_t dropped = 0;
  Json drops = Json::object();
  for (const auto& [reason, count] : account.drops) {
    drops[reason] = count;
    dropped += count;
  }
  const bool holds = account.received + account.made == account.sent + dropped + account.in_flight + account.kept;
  return Json{{"received", account.received},
              {"made", account.made},
              {"sent", account.sent},
              {"dropped", dropped},
              {"drops", drops},
              {"kept", account.kept},
              {"in_flight", account.in_flight},
              {"holds", holds}};
}

// A pool that several queues or ports share is listed once.
Result<Json> pools(Server& server, const Params&) {
  std::map<const MempoolCore*, Json> found;
  std::vector<const MempoolCore*> order;
  for (NamedPort& named : server.ports.all()) {
    for (std::uint16_t queue = 0;; ++queue) {
      const auto pool = named.port->rx_pool(queue);
      if (!pool) break;
      const MempoolCore* const key = pool->core().get();
      if (!found.contains(key)) {
        found.emplace(key, pool_json(*pool));
        order.push_back(key);
      }
      Json& ports = found[key]["ports"];
      if (ports.empty() || ports.back() != named.name) ports.push_back(named.name);
    }
  }
  Json all = Json::array();
  for (const MempoolCore* const key : order) all.push_back(found[key]);
  return all;
}

constexpr std::array kProgramMethods{
    MethodEntry{.name = "methods", .general = methods}, MethodEntry{.name = "process", .general = process},
    MethodEntry{.name = "ports", .general = ports},     MethodEntry{.name = "account", .general = account},
    MethodEntry{.name = "pools", .general = pools},
};

}  // namespace

std::span<const MethodEntry> program_methods() noexcept { return kProgramMethods; }

}  // namespace pollux::observe
