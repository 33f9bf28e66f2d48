// SPDX-License-Identifier: BSD-3-Clause
// `pollux exporter`: the counters of running programs for Prometheus.
#include <fmt/format.h>
#include <prometheus/exposer.h>
#include <prometheus/text_serializer.h>
#include "common/cli.hpp"

#include <chrono>
#include <exception>
#include <memory>
#include <ostream>
#include <string>

#include "commands.hpp"
#include "common/stop_signals.hpp"
#include "listen_address.hpp"
#include "metrics.hpp"
#include "report.hpp"
#include "telemetry_client.hpp"

namespace pollux::tool {
namespace {

struct ExporterOptions {
  std::string listen = "127.0.0.1:9876";
  bool once = false;
};

/// Serves HTTP until Ctrl-C. The HTTP server has threads of its own, and throws if it cannot listen.
int serve_metrics(const Environment& environment, const ExporterOptions& options,
                  const std::shared_ptr<ProgramMetrics>& metrics) {
  const examples::StopSignals stop;
  try {
    prometheus::Exposer server(options.listen);
    server.RegisterCollectable(metrics);
    environment.out << fmt::format("serving http://{}/metrics\n", options.listen) << std::flush;
    while (!stop.raised()) environment.clock.sleep_for(std::chrono::milliseconds(100));
  } catch (const std::exception& error) {
    return report(environment, {ErrorCode::io_error, fmt::format("cannot serve {}: {}", options.listen, error.what()),
                                "give an address of this machine and a free port, such as --listen 127.0.0.1:9877"});
  }
  return kSuccess;
}

int run_exporter(const Environment& environment, ExporterOptions options) {
  const auto address = listen_address(options.listen);
  if (!address) return report(environment, address.error());
  options.listen = *address;
  const auto metrics = std::make_shared<ProgramMetrics>(&telemetry_directories);
  if (!options.once) return serve_metrics(environment, options, metrics);
  prometheus::TextSerializer().Serialize(environment.out, metrics->Collect());
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
  command->footer(
      "pollux exporter --listen 0.0.0.0:9876\n"
      "Programs are asked at each scrape, and may come and go. docs/prometheus has rules for alerts.");
  command->callback([options, &environment, &exit_code] { exit_code = run_exporter(environment, *options); });
}

}  // namespace pollux::tool
