// SPDX-License-Identifier: BSD-3-Clause
// `pollux vf serve`: holds a physical function open for its virtual functions.
#include "vf_serve.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>

#include "../../examples/common/stop_signals.hpp"
#include "function_watch.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "report.hpp"
#include "started_port.hpp"
#include "vf_settings.hpp"

namespace pollux::tool {
namespace {

/// A signal between the check for it and the wait is noticed after this time.
constexpr Duration kSignalCheck = std::chrono::milliseconds(100);

// The kernel changes a number of functions only from or to 0.
Result<void> set_up_functions(Capability<VirtualFunctions>& functions, unsigned count,
                              const std::vector<FunctionSettings>& settings) {
  if (functions->functions() != count) {
    if (auto none = functions->set_functions(0); !none) return none;
    if (auto set = functions->set_functions(count); !set) return set;
  }
  for (const FunctionSettings& each : settings) {
    if (auto set = functions->set_function(each.number, each.config); !set) return set;
  }
  return {};
}

/// The command receives nothing. So what is addressed to the port itself must not hold up the functions' frames.
Result<void> start_dropping(Port& port, const Mempool& pool) {
  constexpr std::uint32_t kDescriptors = 64;
  auto configured =
      port.configure({.rx = {.pool = &pool, .ring = kDescriptors, .drop_enable = true}, .tx = {.ring = kDescriptors}});
  return configured ? port.start() : configured;
}

// Whoever reads that the command serves may interrupt it.
Result<void> serve_until_stopped(Context& context, const std::string& port, FunctionWatch& watch) {
  const examples::StopSignals signals;
  if (auto printed = watch.print_settings(port); !printed) return printed;
  Control& control = context.control();
  pollfd event{.fd = control.event_fd(), .events = POLLIN, .revents = 0};
  while (!signals.raised()) {
    const auto due = control.run_due();
    if (!due) return tl::unexpected<Error>(due.error());
    if (auto looked = watch.look(); !looked) return looked;
    const Time until = std::min(*due, context.clock().now() + kSignalCheck);
    if (auto waited = context.clock().wait({&event, 1}, until); !waited) return pass_on(std::move(waited));
  }
  return watch.print_totals();
}

Result<void> serve_port(const Environment& environment, const VfServeOptions& options,
                        const std::vector<FunctionSettings>& settings, const Mempool& pool) {
  auto port = open_port(environment, options.port);
  if (!port) return tl::unexpected<Error>(port.error());
  auto functions = port->capability<VirtualFunctions>();
  if (!functions) return lacks(options.port, "virtual functions");
  if (auto set = set_up_functions(functions, options.count, settings); !set) return set;
  FunctionWatch watch(environment, options.json, functions);
  port->on_event([&watch](const PortEvent& event) { watch.on_event(event); });
  auto done = start_dropping(*port, pool);
  if (done) done = serve_until_stopped(environment.context, options.port, watch);
  port->on_event({});
  auto closed = port->close();
  return done ? closed : done;
}

}  // namespace

int run_vf_serve(const Environment& environment, const VfServeOptions& options) {
  const auto settings = parse_all_settings(options.settings);
  if (!settings) return report(environment, settings.error(), kUsage);
  // Made before the port, and destroyed after it.
  const auto pool = Mempool::create(environment.context, {.count = 256, .name = "command"});
  if (!pool) return report(environment, pool.error());
  const auto served = serve_port(environment, options, *settings, *pool);
  if (served) return kSuccess;
  return report(environment, served.error(), served.error().code == ErrorCode::invalid_argument ? kUsage : kFailure);
}

}  // namespace pollux::tool
