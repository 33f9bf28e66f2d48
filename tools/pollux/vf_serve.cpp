// SPDX-License-Identifier: BSD-3-Clause
// `pollux vf serve`: holds a physical function open for its virtual functions.
#include "vf_serve.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <span>

#include "common/stop_signals.hpp"
#include "exported_functions.hpp"
#include "function_watch.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "report.hpp"
#include "server_output.hpp"
#include "servers/vfio_user/client_memory.hpp"
#include "servers/vfio_user/server.hpp"
#include "started_port.hpp"
#include "vf_count.hpp"
#include "vf_settings.hpp"

namespace pollux::tool {
namespace {

/// How often the functions' states are compared. A signal is noticed after this time at the latest.
constexpr Duration kLookInterval = std::chrono::milliseconds(100);

Result<void> set_up_functions(Port& port, unsigned count, const std::vector<FunctionSettings>& settings) {
  for (const FunctionSettings& each : settings) {
    if (each.number < count) continue;
    return fail(ErrorCode::invalid_argument, fmt::format("there is no virtual function {}", each.number),
                fmt::format("{} are enabled; they are counted from 0", count));
  }
  if (auto set = change_functions(port, count); !set) return set;
  return port.change([&](Settings& now) {
    for (const FunctionSettings& each : settings) now.functions[each.number] = each.config;
  });
}

/// The command receives nothing, so the card drops what is addressed to the port itself.
Result<void> start_dropping(Port& port, const Mempool& pool) {
  constexpr std::uint32_t kDescriptors = 64;
  auto configured = port.change([&](Settings& settings) {
    settings.rx = {{.pool = pool, .ring = kDescriptors}};
    settings.tx = {{.ring = kDescriptors}};
  });
  return configured ? port.start() : configured;
}

/// The work of the command while it serves.
class Serving {
 public:
  Serving(Context& context, FunctionWatch& watch) : context_(context), watch_(watch) {}

  /// Does what is due. Returns the time of the next call, or that of the next check for a signal.
  [[nodiscard]] Result<Time> work() {
    const auto due = context_.control().run_due();
    if (!due) return tl::unexpected<Error>(due.error());
    const Time now = context_.clock().now();
    if (now >= next_look_) {
      if (auto looked = watch_.look(); !looked) return pass_on(std::move(looked));
      next_look_ = now + kLookInterval;
    }
    return std::min(*due, next_look_);
  }
  /// Works until a signal comes.
  [[nodiscard]] Result<void> run(const tools::StopSignals& signals) {
    pollfd event{.fd = context_.control().event_fd(), .events = POLLIN, .revents = 0};
    while (!signals.raised()) {
      const auto until = work();
      if (!until) return tl::unexpected<Error>(until.error());
      if (auto waited = context_.clock().wait({&event, 1}, *until); !waited) return pass_on(std::move(waited));
    }
    return {};
  }
  /// The same, with clients of the functions.
  [[nodiscard]] Result<void> run(const tools::StopSignals& signals,
                                 std::span<const std::unique_ptr<vfio_user::Server>> servers) {
    const vfio_user::BusErrorGuard guard;
    Result<Time> worked;
    const auto until = [&]() -> std::optional<Time> {
      if (signals.raised()) return std::nullopt;
      worked = work();
      return worked ? std::optional(*worked) : std::nullopt;
    };
    auto served =
        vfio_user::serve_beside(context_.clock(), servers, {.run = until, .descriptor = context_.control().event_fd()});
    return served && !worked ? tl::unexpected<Error>(worked.error()) : served;
  }

 private:
  Context& context_;
  FunctionWatch& watch_;
  Time next_look_{};
};

std::string left_out_json(std::uint64_t lines) {
  return nlohmann::json{{"event", "left_out"}, {"lines", lines}}.dump() + '\n';
}

// Whoever reads that the command serves may interrupt it.
Result<void> serve_until_stopped(const Environment& environment, const VfServeOptions& options,
                                 const ExportedFunctions& exported, FunctionWatch& watch) {
  const tools::StopSignals signals;
  never_wait_for_readers(options.json ? left_out_json : left_out_text);
  if (auto printed = watch.print_settings(options.port); !printed) return printed;
  Serving serving(environment.context, watch);
  auto served = exported.servers().empty() ? serving.run(signals) : serving.run(signals, exported.servers());
  return served ? watch.print_totals() : served;
}

Result<void> serve_port(const Environment& environment, const VfServeOptions& options,
                        const std::vector<FunctionSettings>& settings, const Mempool& pool) {
  auto port = open_port(environment, options.port);
  if (!port) return tl::unexpected<Error>(port.error());
  if (!port->capability<VirtualFunctions>()) return tl::unexpected<Error>(port->lacks(VirtualFunctions::kId));
  if (auto set = set_up_functions(*port, options.count, settings); !set) return set;
  ExportedFunctions exported(environment);
  if (auto opened = exported.open(port->info().name, options.sockets); !opened) return opened;
  FunctionWatch watch(environment, options.json, *port);
  port->on_event([&watch](const PortEvent& event) { watch.on_event(event); });
  auto done = start_dropping(*port, pool);
  if (done) done = serve_until_stopped(environment, options, exported, watch);
  port->on_event({});
  auto closed = port->close();
  return done ? closed : done;
}

}  // namespace

int run_vf_serve(const Environment& environment, const VfServeOptions& options) {
  const auto settings = parse_all_settings(options.settings);
  if (!settings) return report(environment, settings.error());
  // Made before the port, and destroyed after it.
  const auto pool = Mempool::create(environment.context, {.count = 256, .name = "command"});
  if (!pool) return report(environment, pool.error());
  const auto served = serve_port(environment, options, *settings, *pool);
  if (served) return kSuccess;
  return report(environment, served.error());
}

}  // namespace pollux::tool
