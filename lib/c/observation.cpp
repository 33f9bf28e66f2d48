// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "c/handles.hpp"
#include "pollux/backends/sim/wire.hpp"
#include "pollux/observe/telemetry.hpp"

using namespace pollux;
using namespace pollux::c;

struct pollux_telemetry {
  std::shared_ptr<Core> core;
  Telemetry telemetry;
};

pollux_telemetry* pollux_telemetry_open(pollux_context* context, const pollux_telemetry_options* given,
                                        pollux_error* error) {
  return make(error, [&]() -> Result<std::unique_ptr<pollux_telemetry>> {
    if (auto there = need(context, "context"); !there) return pass_on(std::move(there));
    const auto read = read_options(given, "pollux_telemetry_options");
    if (!read) return tl::unexpected<Error>(read.error());
    TelemetryOptions options{.socket = text_or_empty(read->socket),
                             .directory = text_or_empty(read->directory),
                             .read_only = (read->flags & POLLUX_TELEMETRY_READ_ONLY) != 0,
                             .program = text_or_empty(read->program)};
    // The object that is returned keeps the core, and ends before it.
    options.drops = [core = context->core.get()] {
      const std::lock_guard lock(core->mutex);
      std::vector<const DropCounter*> counters;
      for (const pollux_drop_counter& one : core->counters) counters.push_back(&one.counter);
      return counters;
    };
    auto telemetry = Telemetry::create(context->core->context, std::move(options));
    if (!telemetry) return pass_on(std::move(telemetry));
    return std::unique_ptr<pollux_telemetry>(new pollux_telemetry{context->core, *std::move(telemetry)});
  });
}

void pollux_telemetry_close(pollux_telemetry* telemetry) { delete telemetry; }

char* pollux_wire_counters(pollux_context* context, uint32_t card, pollux_error* error) {
  return make_text(error, [&]() -> Result<std::string> {
    if (auto there = need(context, "context"); !there) return pass_on(std::move(there));
    const auto read = sim::wire_counters(context->core->context, card);
    if (!read) return tl::unexpected<Error>(read.error());
    const sim::WireCounters& counters = *read;
    return nlohmann::json{{"entered", counters.entered},
                          {"carried", counters.carried},
                          {"lost", counters.lost},
                          {"duplicated", counters.duplicated},
                          {"dropped_unopened", counters.dropped_unopened},
                          {"dropped_overflow", counters.dropped_overflow},
                          {"dropped_link_partner", counters.dropped_link_partner},
                          {"in_flight", counters.in_flight},
                          {"corrupted", counters.corrupted},
                          {"mangled", counters.mangled},
                          {"reordered", counters.reordered}}
        .dump();
  });
}
