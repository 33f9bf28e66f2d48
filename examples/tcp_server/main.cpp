// SPDX-License-Identifier: BSD-3-Clause
// An HTTP server on any port: the TCP of lwIP in a Poller's loop.
#include <arpa/inet.h>
#include <fmt/format.h>
#include "common/cli.hpp"

#include <functional>
#include <optional>
#include <string>

#include "common/command_line.hpp"
#include "common/log.hpp"
#include "common/output.hpp"
#include "common/poll_loop.hpp"
#include "tcp_server/http_server.hpp"
#include "tcp_server/lwip_port.hpp"

namespace {

using namespace pollux;
using namespace pollux::examples;

struct ServerOptions {
  std::string uri;
  LwipPort::Address address{.address = {}, .netmask = {255, 255, 255, 0}};
  std::uint16_t tcp_port = 80;
  std::uint64_t bytes = 100'000'000;
  PortOptions ports = {.promiscuous = false};  // it is one station
  std::optional<double> seconds;
};

std::function<void(const std::string&)> address_option(const char* name, packet::Ipv4Address& address) {
  return [name, &address](const std::string& text) {
    if (inet_pton(AF_INET, text.c_str(), address.data()) != 1)
      throw cli::UsageError(name, fmt::format("'{}' is no IPv4 address; write it like 10.9.0.2", text));
  };
}

std::optional<int> read_options(int argc, char** argv, ServerOptions& options) {
  cli::App app("Serves a document by HTTP on a port, with the TCP of lwIP", "tcp_server");
  app.footer(
      "The other side needs no more than an address of the same network, for example:\n"
      "  tcp_server tap:plx0 --ip 10.9.0.2 &\n"
      "  ip addr add 10.9.0.1/24 dev plx0; ip link set plx0 up; curl -o document http://10.9.0.2/\n"
      "The document is the sequence of the 64-bit numbers 0, 1, 2, ... Ctrl-C ends the program with a summary.");
  app.add_option("PORT", options.uri, "A port, such as tap:plx0 or vfio:0000:01:00.0")->required();
  app.add_option_function<std::string>("--ip", address_option("--ip", options.address.address), "The server's address")
      ->required();
  app.add_option_function<std::string>("--netmask", address_option("--netmask", options.address.netmask),
                                       "255.255.255.0 if it is not given");
  app.add_option("--tcp-port", options.tcp_port, "The TCP port")->check(cli::range(1, 65535))->capture_default_str();
  app.add_option("--bytes", options.bytes, "Length of the document")
      ->check(cli::range(std::uint64_t{1}, std::uint64_t{1} << 40))
      ->capture_default_str();
  add_seconds_option(app, options.seconds);
  add_telemetry_option(app, options.ports);
  return parse(app, argc, argv);
}

Result<void> serve(ProgramSetup& setup, LwipPort& lwip, std::optional<double> seconds, const StopSignals& stop) {
  Poller poller(setup.context());
  const auto queue = poller.add(setup.ports().front().rx(0), [&](Burst<64>& burst) { lwip.receive(burst); });
  if (!queue) return tl::unexpected(queue.error());
  const std::function<void()> tick = [&] {
    lwip.run_timers();
    poller.add_timer(setup.clock().now() + LwipPort::kTimerPeriod, tick);
  };
  tick();
  return run_poller(setup, poller, stop, seconds);
}

int run(const ServerOptions& options, const std::shared_ptr<spdlog::logger>& log, Output& output) {
  auto setup = ProgramSetup::open({options.uri}, options.ports, to_log(log));
  if (!setup) return report_failure(*log, setup.error());
  const StopSignals stop;
  Port& port = (*setup)->ports().front();
  auto lwip = LwipPort::create(port, (*setup)->cache(), options.address);
  if (!lwip) return report_failure(*log, lwip.error());
  auto server = HttpServer::listen(options.tcp_port, options.bytes);
  if (!server) return report_failure(*log, server.error());
  log->info("serving {} bytes on {}", options.bytes, port.info().name);
  const auto served = serve(**setup, **lwip, options.seconds, stop);
  const auto [connections, complete, refused, broken] = (*server)->counts();
  const auto [received, sent, no_pbuf, no_mbuf, ring_full] = (*lwip)->counts();
  output.line(fmt::format("connections: {}; documents: {} served, {} refused, {} broken off", connections, complete,
                          refused, broken));
  output.line(fmt::format("frames: {} received, {} sent; dropped: {} no_pbuf, {} no_mbuf, {} ring_full", received, sent,
                          no_pbuf, no_mbuf, ring_full));
  return served ? 0 : report_failure(*log, served.error());
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("tcp_server", [&](const std::shared_ptr<spdlog::logger>& log, Output& output) {
    ServerOptions options;
    if (const auto status = read_options(argc, argv, options)) return *status;
    return run(options, log, output);
  });
}
