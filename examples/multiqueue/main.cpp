// SPDX-License-Identifier: BSD-3-Clause
// Sends every frame of a port back to its sender, on a thread for each queue: a card's RSS, and run loops on threads.
#include <fmt/format.h>
#include "common/cli.hpp"

#include <deque>
#include <optional>
#include <string>

#include "common/command_line.hpp"
#include "common/log.hpp"
#include "common/output.hpp"
#include "common/program_setup.hpp"
#include "common/stop_signals.hpp"

namespace {

using namespace pollux;
using namespace pollux::examples;

struct MultiqueueOptions {
  std::string port;
  PortOptions ports{.queues = 4};
  std::optional<double> seconds;
};

std::optional<int> read_options(int argc, char** argv, MultiqueueOptions& options) {
  cli::App app("Sends the frames of a port back, with a thread for each queue", "multiqueue");
  app.footer(
      "A card sends each flow to one queue by the hash of its addresses and ports (RSS), so the frames of a flow stay "
      "in\n"
      "order. Ctrl-C ends the program with the frames of each queue.");
  app.add_option("PORT", options.port, "A port of a card, such as vfio:0000:01:00.0 or sim:0")->required();
  add_seconds_option(app, options.seconds);
  add_telemetry_option(app, options.ports);
  add_queue_options(app, options.ports);
  app.callback([&options] {
    check_queue_options(options.ports);
    if (options.ports.cores.empty()) options.ports.workers = options.ports.queues;
  });
  return parse(app, argc, argv);
}

/// What one queue's thread has. No other thread writes it.
struct Worker {
  std::atomic<std::uint64_t> frames{0};
  DropCounter ring_full{"multiqueue_ring_full"};
};

/// Sends back what `queue` receives, in the thread of `loop`.
Result<void> add_queue(RunLoop& loop, Port& port, std::uint16_t queue, Worker& worker, MempoolCache& cache) {
  const auto polled = loop.poller().add(port.rx(queue), [&, &tx = port.tx(queue)](Burst<64>& burst) {
    for (Mbuf& frame : burst) std::swap_ranges(frame.data(), frame.data() + 6, frame.data() + 6);
    worker.frames.fetch_add(burst.size(), std::memory_order_relaxed);
    tx.tx_burst(burst);
    burst.drop(worker.ring_full, cache);
  });
  if (!polled) return tl::unexpected(polled.error());
  loop.add(port.tx(queue));
  return {};
}

/// The loops work on threads of their own; this one services the port.
Result<void> serve(ProgramSetup& setup, RunLoopThreads& loops, std::optional<double> seconds, const StopSignals& stop) {
  if (auto started = loops.start(); !started) return started;
  const Time end = seconds ? setup.clock().now() + from_seconds(*seconds) : Time::max();
  while (!stop.raised() && setup.clock().now() < end) {
    if (auto serviced = setup.service(setup.clock().now()); !serviced) return serviced;
    if (auto failed = loops.failure(); !failed) return failed;
    setup.clock().sleep_for(std::min(kLongestSleep, end - setup.clock().now()));
  }
  return loops.stop();
}

Result<std::deque<Worker>> run_loops(ProgramSetup& setup, const MultiqueueOptions& options, const StopSignals& stop) {
  std::deque<Worker> workers(options.ports.queues);
  std::vector<RunLoopThreadOptions> threads(worker_count(options.ports));
  for (std::size_t i = 0; i < options.ports.cores.size(); ++i) threads[i].core = options.ports.cores[i];
  auto loops = RunLoopThreads::create(setup.context(), std::move(threads));
  if (!loops) return pass_on(std::move(loops));
  for (std::uint16_t queue = 0; queue < options.ports.queues; ++queue) {
    const std::size_t which = queue % (*loops)->size();
    auto added = add_queue((*loops)->loop(which), setup.ports().front(), queue, workers[queue], setup.cache(which));
    if (!added) return pass_on(std::move(added));
  }
  if (auto served = serve(setup, **loops, options.seconds, stop); !served) return pass_on(std::move(served));
  return workers;
}

int run(const MultiqueueOptions& options, const std::shared_ptr<spdlog::logger>& log, Output& output) {
  auto setup = ProgramSetup::open({options.port}, options.ports, to_log(log));
  if (!setup) return report_failure(*log, setup.error());
  const StopSignals stop;
  log->info("returning frames on {} queues of {}", options.ports.queues, (*setup)->ports().front().info().name);
  const auto workers = run_loops(**setup, options, stop);
  if (!workers) return report_failure(*log, workers.error());
  for (std::size_t queue = 0; queue < workers->size(); ++queue) {
    output.line(fmt::format("queue {}: {} frames, no room to send: {}", queue, (*workers)[queue].frames.load(),
                            (*workers)[queue].ring_full.value()));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("multiqueue", [&](const std::shared_ptr<spdlog::logger>& log, Output& output) {
    MultiqueueOptions options;
    if (const auto status = read_options(argc, argv, options)) return *status;
    return run(options, log, output);
  });
}
