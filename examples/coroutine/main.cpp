// SPDX-License-Identifier: BSD-3-Clause
// Forwards between two ports, and prints a line every second: a coroutine for each of these, in one Poller.
#include <fmt/format.h>
#include "common/cli.hpp"

#include <optional>
#include <string>
#include <vector>

#include "common/command_line.hpp"
#include "common/log.hpp"
#include "common/output.hpp"
#include "common/program_setup.hpp"
#include "common/stop_signals.hpp"

namespace {

using namespace pollux;
using namespace pollux::examples;

struct CoroutineOptions {
  std::vector<std::string> ports;
  PortOptions port;
  std::optional<double> seconds;
};

struct Direction {
  std::string name;
  std::uint64_t frames = 0;
  DropCounter ring_full{"coroutine_ring_full"};
};

std::optional<int> read_options(int argc, char** argv, CoroutineOptions& options) {
  cli::App app("Forwards frames between two ports, each direction in a coroutine", "coroutine");
  app.footer("Ctrl-C ends the program with a summary.");
  app.add_option("PORT", options.ports, "Two ports, such as tap:plx0 or vfio:0000:01:00.0")->required()->expected(2);
  add_seconds_option(app, options.seconds);
  add_telemetry_option(app, options.port);
  return parse(app, argc, argv);
}

Task<> forward(RxQueue& from, TxQueue& to, MempoolCache& cache, Direction& direction) {
  for (;;) {
    Burst<32> burst = co_await packets(from);
    direction.frames += burst.size();
    to.tx_burst(burst);
    burst.drop(direction.ring_full, cache);  // what the ring has no room for
  }
}

Task<> print_each_second(const std::vector<Direction*>& directions, Output& output) {
  for (;;) {
    co_await sleep_for(std::chrono::seconds(1));
    for (const Direction* one : directions) output.line(fmt::format("{}: {} frames", one->name, one->frames));
  }
}

/// Services the ports when they are due, and at least every 100 ms. Returns after a failure.
Task<> service(Context& context, Result<void>& outcome) {
  for (;;) {
    const auto next = context.control().run_due();
    if (!next) {
      outcome = tl::unexpected(next.error());
      co_return;
    }
    co_await sleep_until(std::min(*next, context.clock().now() + std::chrono::milliseconds(100)));
  }
}

Result<void> serve(ProgramSetup& setup, std::vector<Direction*> directions, Output& output,
                   std::optional<double> seconds, const StopSignals& stop) {
  std::vector<Port>& ports = setup.ports();
  Poller poller(setup.context());
  Result<void> serviced;
  std::vector<Task<>> tasks;
  tasks.push_back(forward(ports[0].rx(0), ports[1].tx(0), setup.cache(), *directions[0]));
  tasks.push_back(forward(ports[1].rx(0), ports[0].tx(0), setup.cache(), *directions[1]));
  tasks.push_back(print_each_second(directions, output));
  tasks.push_back(service(setup.context(), serviced));
  for (Task<>& task : tasks) {
    if (auto started = task.start(poller); !started) return started;
  }
  const Time end = seconds ? setup.clock().now() + from_seconds(*seconds) : Time::max();
  for (Time now = setup.clock().now(); !stop.raised() && now < end; now = setup.clock().now()) {
    if (const auto frames = poller.run_once(std::min(end, now + kLongestSleep)); !frames)
      return tl::unexpected(frames.error());
    for (const Task<>& task : tasks) {
      if (task.is_done()) return serviced ? task.outcome() : serviced;
    }
  }
  return {};
}

int run(const CoroutineOptions& options, const std::shared_ptr<spdlog::logger>& log, Output& output) {
  auto setup = ProgramSetup::open(options.ports, options.port, to_log(log));
  if (!setup) return report_failure(*log, setup.error());
  const StopSignals stop;
  std::vector<Port>& ports = (*setup)->ports();
  Direction there{.name = ports[0].info().name + " -> " + ports[1].info().name};
  Direction back{.name = ports[1].info().name + " -> " + ports[0].info().name};
  log->info("forwarding between {} and {}", ports[0].info().name, ports[1].info().name);
  const auto served = serve(**setup, {&there, &back}, output, options.seconds, stop);
  for (const Direction* one : {&there, &back})
    output.line(fmt::format("{}: {} frames, no room to send: {}", one->name, one->frames, one->ring_full.value()));
  return served ? 0 : report_failure(*log, served.error());
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("coroutine", [&](const std::shared_ptr<spdlog::logger>& log, Output& output) {
    CoroutineOptions options;
    if (const auto status = read_options(argc, argv, options)) return *status;
    return run(options, log, output);
  });
}
