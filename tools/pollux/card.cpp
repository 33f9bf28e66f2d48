// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <fmt/ostream.h>
#include <fmt/ranges.h>
#include <memory>
#include <ostream>
#include <string>
#include <vector>
#include "common/cli.hpp"

#include "card_fault.hpp"
#include "commands.hpp"
#include "common/stop_signals.hpp"
#include "function_socket.hpp"
#include "open_files.hpp"
#include "pollux/backends/sim/wire.hpp"
#include "pollux/open.hpp"
#include "report.hpp"
#include "server_output.hpp"
#include "servers/vfio_user/client_memory.hpp"
#include "servers/vfio_user/server.hpp"

namespace pollux::tool {
namespace {

using Servers = std::vector<std::unique_ptr<vfio_user::Server>>;

struct Exported {
  std::vector<std::unique_ptr<CardFault>> faults;  ///< of the first cards; the servers' devices use them
  Servers servers;
};

struct CardOptions {
  std::vector<std::string> sockets;
  std::vector<std::string> wires;
  std::vector<std::string> faults;
  std::vector<std::string> functions;
  std::string card;
  bool once = false;
};

constexpr std::size_t kPackageCards = 2;

/// The number of the `sim:` card behind a socket. An even card and the next one are on a wire. With wires of their own
/// the second card is sim:3, which is the second port of its package, too.
unsigned card_number(const CardOptions& options, std::size_t index) {
  return index == 0 ? 0 : options.wires.size() > 1 ? 3 : 1;
}

std::string uri_of(const CardOptions& options, std::size_t index) {
  std::vector<std::string> words;
  if (!options.card.empty()) words.push_back("card=" + options.card);
  const std::size_t wire = options.wires.size() > 1 ? index : 0;
  if (wire < options.wires.size()) words.push_back(options.wires[wire]);
  return fmt::format("sim:{}{}{}", card_number(options, index), words.empty() ? "" : "?", fmt::join(words, ","));
}

Result<void> check(const CardOptions& options) {
  const std::size_t cards = options.sockets.size();
  if (cards > kPackageCards) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} sockets were given", cards),
                "a package has two cards: give --socket once or twice");
  }
  if (options.wires.size() > cards || options.faults.size() > cards) {
    return fail(ErrorCode::invalid_argument, "--wire or --fault was given more often than --socket",
                "give each at most once for each socket");
  }
  return {};
}

Result<void> open_functions(const Environment& environment, const CardOptions& options, Servers& servers) {
  for (const std::string& text : options.functions) {
    const auto function = parse_function_socket("--vf", text);
    if (!function) return tl::unexpected<Error>(function.error());
    auto device = open_device(environment.context, fmt::format("sim:0.vf{}", function->number));
    if (!device) return pass_on(std::move(device));
    auto server = vfio_user::Server::create(environment.context, *std::move(device), function->path);
    if (!server) return pass_on(std::move(server));
    servers.push_back(*std::move(server));
  }
  return {};
}

Result<Exported> open_servers(const Environment& environment, const CardOptions& options) {
  Exported exported;
  for (std::size_t index = 0; index < options.sockets.size(); ++index) {
    auto device = open_device(environment.context, uri_of(options, index));
    if (!device) return pass_on(std::move(device));
    if (index < options.faults.size()) {
      auto fault = CardFault::inject(environment.context, options.faults[index], *device);
      if (!fault) return pass_on(std::move(fault));
      exported.faults.push_back(*std::move(fault));
    }
    auto server = vfio_user::Server::create(environment.context, *std::move(device), options.sockets[index],
                                            !options.functions.empty());
    if (!server) return pass_on(std::move(server));
    exported.servers.push_back(*std::move(server));
  }
  if (auto opened = open_functions(environment, options, exported.servers); !opened) return pass_on(std::move(opened));
  return exported;
}

void print_start(const Environment& environment, const Servers& servers) {
  for (const auto& server : servers) {
    const PciIdentity card = server->device().identity();
    fmt::print(environment.out, "{}: card {:04x}:{:04x} ({})\n", server->path(), card.vendor, card.device,
               server->device().name());
  }
  environment.out << std::flush;  // whoever waits for the sockets reads this
}

/// Both directions of a card's wire, so that no frame disappears without a count.
void print_end(const Environment& environment, const CardOptions& options,
               const std::vector<std::unique_ptr<CardFault>>& faults) {
  for (std::size_t index = 0; index < options.sockets.size(); ++index) {
    const unsigned card = card_number(options, index);
    const auto sent = sim::wire_counters(environment.context, card);
    const auto received = sim::wire_counters_towards(environment.context, card);
    if (!sent || !received) continue;
    fmt::print(environment.out, "{}: sent {} frames, {} of them arrived; {} were sent to it, {} of them arrived\n",
               options.sockets[index], sent->entered, sent->carried, received->entered, received->carried);
  }
  for (std::size_t index = 0; index < faults.size(); ++index) {
    fmt::print(environment.out, "{}: the fault {} happened {}\n", options.sockets[index], options.faults[index],
               faults[index]->outcome());
  }
}

/// One line for each fault, when it happens: the driver's own messages then have a cause.
void report_new_faults(const Environment& environment, const CardOptions& options, Exported& exported, Time start) {
  for (std::size_t index = 0; index < exported.faults.size(); ++index) {
    if (!exported.faults[index]->has_begun()) continue;
    const unsigned card = card_number(options, index);
    const auto sent = sim::wire_counters(environment.context, card);
    const auto received = sim::wire_counters_towards(environment.context, card);
    fmt::print(environment.out, "{}: after {:.3f} s, {} frames sent and {} received: the fault {} happens\n",
               options.sockets[index], std::chrono::duration<double>(environment.context.clock().now() - start).count(),
               sent ? sent->entered : 0, received ? received->carried : 0, options.faults[index]);
    environment.out << std::flush;
  }
}

bool all_have_left(const Servers& servers) {
  for (const auto& server : servers) {
    if (server->has_client() || server->sessions_ended() == 0) return false;
  }
  return true;
}

/// The servers' sockets are removed at the end, and so is that of a wire. Wires have opened what they read and write.
Confinement needs_of(const CardOptions& options) {
  Confinement needed{.removed = {options.sockets.begin(), options.sockets.end()}};
  for (const std::string& text : options.functions) {
    if (const auto function = parse_function_socket("--vf", text)) needed.removed.emplace_back(function->path);
  }
  for (const std::string& wire : options.wires) {
    for (std::size_t at = wire.find('='); at != std::string::npos; at = wire.find('=', at + 1)) {
      const std::string value = wire.substr(at + 1, wire.find(',', at) - at - 1);
      if (value.find('/') != std::string::npos) needed.removed.emplace_back(value);
    }
  }
  return needed;
}

int run_card(const Environment& environment, const CardOptions& options) {
  if (auto checked = check(options); !checked) return report(environment, checked.error());
  const std::size_t clients = options.sockets.size() + options.functions.size();
  static_cast<void>(allow_open_files(kOwnFiles + clients * vfio_user::Server::kMaxDescriptors));
  auto exported = open_servers(environment, options);
  if (!exported) return report(environment, exported.error());
  const Servers& servers = exported->servers;
  never_wait_for_readers();
  if (const auto confined = environment.confine(needs_of(options)); !confined)
    return report(environment, confined.error());
  const tools::StopSignals signals;
  const vfio_user::BusErrorGuard guard;
  print_start(environment, servers);
  const Time start = environment.context.clock().now();
  const auto served = vfio_user::serve(environment.context.clock(), servers, [&] {
    report_new_faults(environment, options, *exported, start);
    return signals.raised() || (options.once && all_have_left(servers));
  });
  if (!served) return report(environment, served.error());
  print_end(environment, options, exported->faults);
  return kSuccess;
}

}  // namespace

void add_card(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<CardOptions>();
  cli::App* command =
      app.add_subcommand("card", "Export an in-process card to a virtual machine, by the vfio-user protocol");
  command->add_option("--socket", options->sockets, "Unix socket for the client; twice: two cards of one package")
      ->required();
  command->add_option(
      "--wire", options->wires,
      "Options of the wire, as after `sim:0?`: rate=1G,delay=10us,loss=1%,tap=NAME,pcap-out=FILE,...; twice: "
      "each card has its own wire");
  command->add_option(
      "--card", options->card,
      "The cards: 82576 (the default), or virtio-net, also with options, as in virtio-net+pairs=2+no-rss; "
      "two with a slash between: one for each socket");
  command->add_option(
      "--fault", options->faults,
      "Fault to inject, such as removal@1200, as after `fault:`, or of the card's memory accesses, such as "
      "late-receive-write-back@100; twice: one for each card");
  command->add_option("--vf", options->functions,
                      "NUMBER=SOCKET: export a virtual function of the first card, 0 to 7, as a card of its own "
                      "(8086:10ca or 1520). It "
                      "has registers once the driver of the first card has enabled it; can be repeated");
  command->add_flag("--once", options->once, "End when the clients have left");
  command->footer(
      "pollux card --socket /tmp/a --socket /tmp/b\n"
      "pollux card --socket /tmp/a --wire tap=x0\n"
      "pollux card --socket /tmp/a --card virtio-net --wire tap=x0\n"
      "The cards of two sockets are connected by a wire, unless each has a wire of its own. Ctrl-C ends the command.\n"
      "QEMU 11 has the client:\n"
      "  -object memory-backend-memfd,id=ram,size=1G,share=on -machine q35,memory-backend=ram\n"
      "  -device '{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\"path\":\"PATH\"}}'");
  command->callback([options, &environment, &exit_code] { exit_code = run_card(environment, *options); });
}

}  // namespace pollux::tool
