// SPDX-License-Identifier: BSD-3-Clause
// Shares a card with the kernel: the program answers UDP echo itself, and the kernel gets all other frames through an
// interface with the card's address. A KernelPath and a Poller in use.
#include <fmt/format.h>
#include "common/cli.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/account.hpp"
#include "common/command_line.hpp"
#include "common/log.hpp"
#include "common/output.hpp"
#include "common/poll_loop.hpp"
#include "echo/responder.hpp"
#include "kernel_path/network.hpp"

namespace {

using namespace pollux;
using namespace pollux::examples;

struct KernelPathProgram {
  std::string port;
  std::string interface;
  InterfaceNetwork network;  // its first IPv4 address answers UDP echo
  std::uint16_t udp_port = 7;
  PortOptions ports;
  std::optional<double> seconds;
};

std::optional<int> read_options(int argc, char** argv, KernelPathProgram& options) {
  cli::App app("Answers UDP echo on a card, and gives the kernel everything else", "kernel_path");
  app.footer(
      "The kernel keeps its network on the card through the interface. Without --ip that is what the card's own\n"
      "interface had, with all addresses and routes:\n"
      "  pollux bind --force 0000:01:00.0; kernel_path vfio:0000:01:00.0 --tap plx0\n"
      "Ctrl-C ends the program with a summary.");
  app.add_option("PORT", options.port, "A port, such as vfio:0000:01:00.0 or sim:0")->required();
  app.add_option("--tap", options.interface,
                 "The kernel's interface; NAME?superframes lets it leave segmentation to the card")
      ->required();
  app.add_option_function<std::vector<std::string>>(
      "--ip",
      [&options](const std::vector<std::string>& texts) {
        for (const std::string& text : texts) options.network.addresses.push_back(parse_interface_address(text));
      },
      "An address of the interface, such as 10.0.0.1/24 or fd00::1/64; the first IPv4 address answers UDP echo. "
      "Without it the interface gets the addresses and routes that `pollux bind` has saved");
  app.add_option("--udp-port", options.udp_port, "The UDP port that the program answers itself")
      ->check(cli::range(1, 65535));
  add_seconds_option(app, options.seconds);
  add_telemetry_option(app, options.ports);
  return parse(app, argc, argv);
}

/// Takes the datagrams for the program's UDP port out of `received` and answers them. All frames stay in order.
void take_own(Burst<64>& received, EchoResponder& responder, Burst<64>& answers) {
  received.take_each([&](MbufPtr frame) {
    const bool answered = packet::parse(*frame).type.has(PacketType::udp) && responder.answer(*frame);
    static_cast<void>((answered ? answers : received).push(frame));  // both have the same room
  });
}

Result<void> serve(ProgramSetup& setup, KernelPath& path, EchoResponder& responder, DropCounter& ring_full,
                   std::optional<double> seconds, const StopSignals& stop) {
  Port& card = setup.ports()[0];
  Port& representor = setup.ports()[1];
  Poller poller(setup.context());
  const auto from_wire = poller.add(card.rx(0), [&](Burst<64>& burst) {
    Burst<64> answers;
    take_own(burst, responder, answers);
    card.tx(0).tx_burst(answers);
    answers.drop(ring_full, setup.cache());
    path.to_kernel(burst);
  });
  if (!from_wire) return tl::unexpected(from_wire.error());
  PollerTask& flush = poller.add_task("segments", [&] { return !path.flush(); });
  const auto from_kernel = poller.add(representor.rx(0), [&](Burst<64>& burst) {
    path.to_port(burst);
    if (path.waiting()) flush.schedule();
  });
  if (!from_kernel) return tl::unexpected(from_kernel.error());
  // Once a second the representor follows the card's link and settings.
  Result<void> followed;
  std::function<void()> follow = [&] {
    if (auto done = path.follow(); !done) followed = std::move(done);
    poller.add_timer(setup.clock().now() + std::chrono::seconds(1), follow);
  };
  follow();
  auto served = run_poller(setup, poller, stop, seconds);
  return served ? std::move(followed) : std::move(served);
}

/// Gives the kernel its end: an interface with the card's address, and the network.
Result<std::unique_ptr<KernelPath>> give_to_kernel(ProgramSetup& setup, const InterfaceNetwork& network) {
  Port& card = setup.ports()[0];
  Port& representor = setup.ports()[1];
  if (auto set = card.set_promiscuous(false); !set) return tl::unexpected(set.error());
  auto path = KernelPath::create(card, representor, setup.cache());
  if (!path) return path;
  if (auto given = give_network(network, representor.capability<KernelInterface>()); !given)
    return tl::unexpected(given.error());
  return path;
}

int run(const KernelPathProgram& options, const std::shared_ptr<spdlog::logger>& log, Output& output) {
  Result<InterfaceNetwork> network = options.network;
  if (options.network.addresses.empty()) network = network_before_bind(options.port);
  if (!network) return report_failure(*log, network.error());
  auto setup = ProgramSetup::open({options.port, "tap:" + options.interface}, options.ports, to_log(log));
  if (!setup) return report_failure(*log, setup.error());
  const StopSignals stop;
  auto path = give_to_kernel(**setup, *network);
  if (!path) return report_failure(*log, path.error());
  Port& card = (*setup)->ports().front();
  EchoResponder responder({.mac = card.mac(), .address = first_ipv4_address(*network), .udp_port = options.udp_port});
  DropCounter ring_full("ring_full");
  if (network->saved) log->info("{} has the network that {} had", options.interface, network->saved->name);
  log->info("{} is shared with the kernel as {}", card.info().name, options.interface);
  const auto served = serve(**setup, **path, responder, ring_full, options.seconds, stop);
  std::string drops = fmt::format("{} ring_full", ring_full.value());
  for (const auto& [name, count] : collect_drops({}, (*path)->drops())) drops += fmt::format(", {} {}", count, name);
  output.line(fmt::format("answered: {} UDP; frames: {} to the kernel, {} from the kernel; dropped: {}",
                          responder.answers().udp, (*path)->frames_to_kernel(), (*path)->frames_to_port(), drops));
  return served ? 0 : report_failure(*log, served.error());
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("kernel_path", [&](const std::shared_ptr<spdlog::logger>& log, Output& output) {
    KernelPathProgram options;
    if (const auto status = read_options(argc, argv, options)) return *status;
    return run(options, log, output);
  });
}
