// SPDX-License-Identifier: BSD-3-Clause
// Answers ARP, ping and UDP echo for one IPv4 address on any port, and sleeps while nothing comes: a Poller in use.
#include <arpa/inet.h>
#include <fmt/format.h>
#include "common/cli.hpp"

#include <optional>
#include <string>

#include "common/command_line.hpp"
#include "common/log.hpp"
#include "common/number_text.hpp"
#include "common/output.hpp"
#include "common/poll_loop.hpp"
#include "common/program_setup.hpp"
#include "common/stop_signals.hpp"
#include "echo/responder.hpp"

namespace {

using namespace pollux;
using namespace pollux::examples;

struct EchoOptions {
  std::string port;
  packet::Ipv4Address address{};
  std::uint8_t prefix = 24;
  std::uint16_t udp_port = 7;
  PortOptions ports = {.promiscuous = false};  // it is one station
  std::optional<double> seconds;
};

/// False if `text` is not ADDRESS or ADDRESS/LENGTH.
bool read_address(const std::string& text, EchoOptions& options) {
  const std::size_t slash = text.find('/');
  if (inet_pton(AF_INET, text.substr(0, slash).c_str(), options.address.data()) != 1) return false;
  if (slash == std::string::npos) return true;
  const auto length = parse_number(text.substr(slash + 1), 0, 32);
  if (length) options.prefix = static_cast<std::uint8_t>(*length);
  return length.has_value();
}

std::optional<int> read_options(int argc, char** argv, EchoOptions& options) {
  cli::App app("Answers ARP, ping and UDP echo for an IPv4 address on a port", "echo");
  app.footer(
      "The other side needs no more than an address of the same network, for example:\n"
      "  ./echo tap:plx0 --ip 10.9.0.2 &\n"
      "  ip addr add 10.9.0.1/24 dev plx0; ip link set plx0 up; ping 10.9.0.2\n"
      "Ctrl-C ends the program with a summary.");
  app.add_option("PORT", options.port, "A port, such as tap:plx0, vfio:0000:01:00.0 or sim:0")->required();
  app.add_option_function<std::string>(
         "--ip",
         [&options](const std::string& text) {
           if (!read_address(text, options))
             throw cli::UsageError(
                 "--ip", fmt::format("'{}' is not an IPv4 address; write it like 10.9.0.2 or 10.9.0.2/24", text));
         },
         "The IPv4 address that answers, with the length of its network's prefix [24]")
      ->required();
  app.add_option("--udp-port", options.udp_port, "The UDP port that answers")->check(cli::range(1, 65535));
  add_seconds_option(app, options.seconds);
  add_telemetry_option(app, options.ports);
  return parse(app, argc, argv);
}

Result<void> serve(ProgramSetup& setup, EchoResponder& responder, DropCounter& ignored, DropCounter& ring_full,
                   std::optional<double> seconds, const StopSignals& stop) {
  Port& port = setup.ports().front();
  Poller poller(setup.context());
  const auto queue = poller.add(port.rx(0), [&](Burst<64>& burst) {
    burst.drop_if(ignored, [&](Mbuf& frame) { return !responder.answer(frame); });
    port.tx(0).tx_burst(burst);
    burst.drop(ring_full, setup.cache());  // what the ring has no room for
  });
  if (!queue) return tl::unexpected(queue.error());
  return run_poller(setup, poller, stop, seconds);
}

int run(const EchoOptions& options, const std::shared_ptr<spdlog::logger>& log, Output& output) {
  auto setup = ProgramSetup::open({options.port}, options.ports, to_log(log));
  if (!setup) return report_failure(*log, setup.error());
  const StopSignals stop;
  Port& port = (*setup)->ports().front();
  EchoResponder responder(
      {.mac = port.mac(), .address = options.address, .prefix = options.prefix, .udp_port = options.udp_port});
  DropCounter ignored("echo_ignored");
  DropCounter ring_full("echo_ring_full");
  log->info("answering on {}", port.info().name);
  const auto served = serve(**setup, responder, ignored, ring_full, options.seconds, stop);
  const auto [arp, icmp, udp] = responder.answers();
  output.line(fmt::format("answered: {} ARP, {} ping, {} UDP; not answered: {}; no room to send: {}", arp, icmp, udp,
                          ignored.value(), ring_full.value()));
  return served ? 0 : report_failure(*log, served.error());
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("echo", [&](const std::shared_ptr<spdlog::logger>& log, Output& output) {
    EchoOptions options;
    if (const auto status = read_options(argc, argv, options)) return *status;
    return run(options, log, output);
  });
}
