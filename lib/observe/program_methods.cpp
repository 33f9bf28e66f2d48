// SPDX-License-Identifier: BSD-3-Clause
// Methods about the program: itself, its ports and pools, its account.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <map>
#include <utility>

#include "net/port_identity.hpp"
#include "observe/capture/capture_core.hpp"
#include "observe/methods.hpp"
#include "observe/port_json.hpp"
#include "pollux/net/port_info.hpp"

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

// The method that captures a port's frames.

constexpr std::uint64_t kMaxSnaplen = 262144;
constexpr std::uint64_t kMaxQueue = 0xFFFF;
/// Bytes of all rings of a capture, which a port with many queues shares out.
constexpr std::size_t kAllRings = std::size_t{64} << 20;

/// For each queue as much as the default if there is room, but always enough for two frames.
std::size_t ring_bytes(const EffectiveConfig& config, const CaptureOptions& options) {
  const std::size_t rings = options.queue ? 2 : config.rx.size() + config.tx.size();
  const std::size_t share = std::bit_floor(kAllRings / std::max<std::size_t>(rings, 1));
  return std::max(std::min(share, CaptureOptions{}.ring_bytes),
                  std::bit_ceil(2 * (std::size_t{options.snaplen} + 128)));
}

Result<CaptureOptions> read_options(const Params& params) {
  CaptureOptions options;
  if (params.has("queue")) {
    const auto queue = params.number("queue", 0, kMaxQueue);
    if (!queue) return tl::unexpected<Error>(queue.error());
    options.queue = static_cast<std::uint16_t>(*queue);
  }
  if (params.has("filter")) {
    auto filter = params.text("filter");
    if (!filter) return tl::unexpected<Error>(filter.error());
    options.filter = *std::move(filter);
  }
  const auto snaplen = params.number_or("snaplen", kMaxSnaplen, 1, kMaxSnaplen);
  if (!snaplen) return tl::unexpected<Error>(snaplen.error());
  options.snaplen = static_cast<std::uint32_t>(*snaplen);
  const auto receive = params.flag_or("receive", true);
  if (!receive) return tl::unexpected<Error>(receive.error());
  options.receive = *receive;
  const auto transmit = params.flag_or("transmit", true);
  if (!transmit) return tl::unexpected<Error>(transmit.error());
  options.transmit = *transmit;
  return options;
}

// Which queue had received a dropped frame is not known, so a capture of one queue shows no drops unless it is asked
// to.
Result<Json> start_capture(Server& server, NamedPort& named, const Params& params) {
  auto options = read_options(params);
  if (!options) return pass_on(std::move(options));
  const auto drops = params.flag_or("drops", !options->queue);
  if (!drops) return tl::unexpected<Error>(drops.error());
  if (auto good = FrameFilter::check(options->filter, named.name); !good) return pass_on(std::move(good));
  server.capture = CaptureRequest{named.name, named.port->info().name, *std::move(options), *drops};
  return Json(nullptr);
}

constexpr std::array kProgramMethods{
    MethodEntry{.name = "methods", .general = methods},
    MethodEntry{.name = "process", .general = process},
    MethodEntry{.name = "ports", .general = ports},
    MethodEntry{.name = "account", .general = account},
    MethodEntry{.name = "pools", .general = pools},
    MethodEntry{.name = "capture.start", .captures = true, .of_port = start_capture},
};

}  // namespace

Result<std::unique_ptr<Capture>> begin_capture(Server& server, CaptureRequest request, FrameFilter filter) {
  auto named = server.ports.find(request.port);
  if (!named) return pass_on(std::move(named));
  CaptureOptions& options = request.options;
  if (request.drops && server.options.drops) options.drops = server.options.drops();
  options.ring_bytes = ring_bytes(named->port->config(), options);
  options.name = named->name;
  options.application = server.options.program;
  return CaptureAccess::start(*named->port, options, std::move(filter));
}

std::span<const MethodEntry> program_methods() noexcept { return kProgramMethods; }

}  // namespace pollux::observe
