// SPDX-License-Identifier: BSD-3-Clause
// `pollux exporter`: the counters of running programs for Prometheus.
#include <fmt/format.h>
#include <linux/capability.h>
#include <prometheus/text_serializer.h>
#include "common/cli.hpp"

#include <filesystem>
#include <memory>
#include <new>
#include <ostream>
#include <string>

#include "commands.hpp"
#include "common/stop_signals.hpp"
#include "listen_address.hpp"
#include "metrics.hpp"
#include "metrics_server.hpp"
#include "observe/sockets.hpp"
#include "report.hpp"
#include "server_output.hpp"
#include "telemetry_client.hpp"

namespace pollux::tool {
namespace {

struct ExporterOptions {
  std::string listen = "127.0.0.1:9876";
  bool once = false;
  bool all_users = false;
};

/// Serves HTTP until Ctrl-C.
int serve_metrics(const Environment& environment, const ExporterOptions& options, const ProgramMetrics& metrics) {
  auto server = MetricsServer::create(options.listen, environment.clock, [&metrics]() -> std::string {
    try {
      return prometheus::TextSerializer().Serialize(metrics.Collect());
    } catch (const std::bad_alloc&) {
      return {};
    }
  });
  if (!server) return report(environment, server.error());
  // Folders of programs that begin later may not be there yet.
  Confinement needed{.connects = true,
                     .listed = {"/run", std::filesystem::path(observe::default_directories().front()).parent_path()}};
  if (options.all_users) needed.capabilities = {CAP_DAC_OVERRIDE};  // for the sockets of others
  never_wait_for_readers();
  if (const auto confined = environment.confine(needed); !confined) return report(environment, confined.error());
  const tools::StopSignals stop;
  environment.out << fmt::format("serving http://{}/metrics\n", options.listen) << std::flush;
  const auto served = server->serve([&stop] { return stop.raised(); });
  return served ? kSuccess : report(environment, served.error());
}

int run_exporter(const Environment& environment, ExporterOptions options) {
  const auto address = listen_address(options.listen);
  if (!address) return report(environment, address.error());
  options.listen = *address;
  const Users users = options.all_users ? Users::all : Users::own;
  const ProgramMetrics metrics([users] { return telemetry_directories(users); });
  if (!options.once) return serve_metrics(environment, options, metrics);
  prometheus::TextSerializer().Serialize(environment.out, metrics.Collect());
  return kSuccess;
}

}  // namespace

void add_exporter(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<ExporterOptions>();
  cli::App* command = app.add_subcommand("exporter", "Serve the counters of running programs to Prometheus");
  command
      ->add_option("--listen", options->listen, "Address and TCP port of the HTTP server; a port alone is of 127.0.0.1")
      ->capture_default_str();
  command->add_flag("--once", options->once, "Print the metrics and end");
  command->add_flag("--all-users", options->all_users, "As root: also ask the programs of other users");
  command->footer(
      "pollux exporter --listen 127.0.0.1:9877\n"
      "Programs are asked at each scrape, and may come and go. share/doc/pollux/prometheus has rules for alerts.\n"
      "Whoever reaches the address may read the counters: leave it on this machine, and let a proxy with encryption\n"
      "and passwords serve others. At 127.0.0.1 it answers those alone who ask for the host localhost or an address.");
  command->callback([options, &environment, &exit_code] { exit_code = run_exporter(environment, *options); });
}

}  // namespace pollux::tool
