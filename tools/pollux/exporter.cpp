// SPDX-License-Identifier: BSD-3-Clause
// `pollux exporter`: the counters of running programs for Prometheus.
#include <CivetServer.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <prometheus/exposer.h>
#include <prometheus/text_serializer.h>
#include "common/cli.hpp"

#include <chrono>
#include <exception>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "commands.hpp"
#include "common/stop_signals.hpp"
#include "listen_address.hpp"
#include "metrics.hpp"
#include "observe/sockets.hpp"
#include "report.hpp"
#include "telemetry_client.hpp"

namespace pollux::tool {
namespace {

struct ExporterOptions {
  std::string listen = "127.0.0.1:9876";
  bool once = false;
  bool all_users = false;
};

/// Options of CivetWeb. A connection holds a thread as long as its request is not complete, which may take 2 seconds.
std::vector<std::string> server_options(const std::string& listen) {
  return {"listening_ports", listen, "num_threads", "64", "request_timeout_ms", "2000"};
}

// The HTTP library answers GET alone. The length of what is not sent may be left out: RFC 9110, 9.3.2.
int answer_head(mg_connection* connection) {
  const mg_request_info& request = *mg_get_request_info(connection);
  if (std::string_view(request.request_method) != "HEAD" || std::string_view(request.local_uri) != "/metrics") return 0;
  constexpr std::string_view kHeaders = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n";
  mg_write(connection, kHeaders.data(), kHeaders.size());
  return 200;
}

/// Serves HTTP until Ctrl-C. The HTTP server has threads of its own, and throws if it cannot listen.
int serve_metrics(const Environment& environment, const ExporterOptions& options,
                  const std::shared_ptr<ProgramMetrics>& metrics) {
  // For a port below 1024, and for the sockets of other users. Threads that begin later are confined, too. Folders of
  // programs that begin later may not be there yet.
  Confinement needed{.capabilities = {CAP_NET_BIND_SERVICE}, .makes_sockets = true, .listed = {"/run"}};
  if (options.all_users) needed.capabilities.push_back(CAP_DAC_OVERRIDE);
  needed.listed.push_back(std::filesystem::path(observe::default_directory()).parent_path());
  if (const auto confined = environment.confine(needed); !confined) return report(environment, confined.error());
  const tools::StopSignals stop;
  try {
    CivetCallbacks callbacks;
    callbacks.begin_request = answer_head;
    prometheus::Exposer server(server_options(options.listen), &callbacks);
    server.RegisterCollectable(metrics);
    environment.out << fmt::format("serving http://{}/metrics\n", options.listen) << std::flush;
    while (!stop.raised()) environment.clock.sleep_for(std::chrono::milliseconds(100));
  } catch (const std::exception& error) {
    return report(environment,
                  {ErrorCode::io_error, fmt::format("cannot serve {}: {}", options.listen, error.what()),
                   "give an IPv4 address of this machine and a free port, such as --listen 127.0.0.1:9877; ports below "
                   "1024 need root, and most builds of the HTTP library have no IPv6"});
  }
  return kSuccess;
}

int run_exporter(const Environment& environment, ExporterOptions options) {
  const auto address = listen_address(options.listen);
  if (!address) return report(environment, address.error());
  options.listen = *address;
  const Users users = options.all_users ? Users::all : Users::own;
  const auto metrics = std::make_shared<ProgramMetrics>([users] { return telemetry_directories(users); });
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
  command->add_flag("--all-users", options->all_users, "As root: also ask the programs of other users");
  command->footer(
      "pollux exporter --listen 127.0.0.1:9877\n"
      "Programs are asked at each scrape, and may come and go. share/doc/pollux/prometheus has rules for alerts.\n"
      "Whoever reaches the address may read the counters: leave it on this machine, and let a proxy with encryption\n"
      "and passwords serve others.");
  command->callback([options, &environment, &exit_code] { exit_code = run_exporter(environment, *options); });
}

}  // namespace pollux::tool
