// SPDX-License-Identifier: BSD-3-Clause
// Shares a card with the kernel: the program answers UDP echo itself, and the kernel gets all other frames through an
// interface with the card's address. A KernelPath and a Poller in use.
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "command_line.hpp"
#include "echo/responder.hpp"
#include "kernel_path/network.hpp"
#include "ports.hpp"

using namespace pollux;
using namespace pollux::examples;

namespace {

constexpr const char* kUsage =
    "usage: kernel_path PORT --tap NAME[?superframes] [--ip ADDRESS/LENGTH]... [--udp-port 7]\n"
    "\n"
    "Answers UDP echo on a card, such as vfio:0000:01:00.0 or sim:0, and gives the kernel everything else. The kernel\n"
    "keeps its network on the card through the interface NAME, and leaves segmentation to the card with ?superframes.\n"
    "The interface gets these addresses, of which the first one of IPv4 answers; without --ip it gets what the card's\n"
    "own interface had, with all addresses and routes:\n"
    "  pollux bind --force 0000:01:00.0; kernel_path vfio:0000:01:00.0 --tap plx0\n"
    "Ctrl-C ends the program with a summary.\n";

/// Takes the datagrams for the program's UDP port out of `received` and answers them. All frames stay in order.
void take_own(Burst<64>& received, EchoResponder& responder, Burst<64>& answers) {
  received.take_each([&](MbufPtr frame) {
    const bool answered = packet::parse(*frame).type.has(PacketType::udp) && responder.answer(*frame);
    static_cast<void>((answered ? answers : received).push(frame));  // both have the same room
  });
}

Result<void> serve(Ports& own, KernelPath& path, EchoResponder& responder, DropCounter& ring_full) {
  Port& card = own.ports[0];
  Port& representor = own.ports[1];
  Poller poller(own.context);
  const auto from_wire = poller.add(card.rx(0), [&](Burst<64>& burst) {
    Burst<64> answers;
    take_own(burst, responder, answers);
    card.tx(0).tx_burst(answers);
    answers.drop(ring_full, *own.cache);
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
    poller.add_timer(own.context.clock().now() + std::chrono::seconds(1), follow);
  };
  follow();
  auto served = run_until_ctrl_c(own.context, poller);
  return served ? std::move(followed) : std::move(served);
}

/// Gives the kernel its end: an interface with the card's address, and the network.
Result<std::unique_ptr<KernelPath>> give_to_kernel(Ports& own, const InterfaceNetwork& network) {
  Port& card = own.ports[0];
  Port& representor = own.ports[1];
  if (auto set = card.change([](Settings& settings) { settings.promiscuous = false; }); !set)
    return tl::unexpected(set.error());
  auto path = KernelPath::create(card, representor, *own.cache);
  if (!path) return path;
  if (auto given = give_network(network, representor.capability<KernelInterface>()); !given)
    return tl::unexpected(given.error());
  return path;
}

Result<void> kernel_path(Words& words) {
  const std::string interface = words.value("--tap");
  if (interface.empty()) words.refuse("--tap is required");
  Result<InterfaceNetwork> network = InterfaceNetwork();
  for (const std::string& text : words.values("--ip")) {
    const auto address = parse_interface_address(text);
    if (!address) words.refuse(fmt::format("--ip: '{}' is not an address and prefix; write it like 10.0.0.1/24", text));
    if (address) network->addresses.push_back(*address);
  }
  const auto udp_port = words.number<std::uint16_t>("--udp-port", 7, 1, 65535);
  const std::vector<std::string> uris = words.ports(1, 1);
  if (!words.mistake()) return words.mistake();

  if (network->addresses.empty()) network = network_before_bind(uris.front());
  if (!network) return pass_on(std::move(network));
  const auto own = Ports::open({uris.front(), "tap:" + interface}, true);
  if (!own) return tl::unexpected(own.error());
  auto path = give_to_kernel(**own, *network);
  if (!path) return pass_on(std::move(path));
  Port& card = (*own)->ports.front();
  EchoResponder responder({.mac = card.mac(), .address = first_ipv4_address(*network), .udp_port = udp_port});
  DropCounter ring_full("ring_full");
  if (network->saved) fmt::print(stderr, "{} has the network that {} had\n", interface, network->saved->name);
  fmt::print(stderr, "{} is shared with the kernel as {}\n", card.info().name, interface);
  auto served = serve(**own, **path, responder, ring_full);
  fmt::print("answered: {} UDP; frames: {} to the kernel, {} from the kernel; dropped: {} ring_full",
             responder.answers().udp, (*path)->frames_to_kernel(), (*path)->frames_to_port(), ring_full.value());
  std::map<std::string, std::uint64_t> dropped;  // segmentation has the same reasons in both directions
  for (const DropCounter* reason : (*path)->drops()) dropped[reason->name()] += reason->value();
  for (const auto& [reason, frames] : dropped) fmt::print(", {} {}", frames, reason);
  fmt::print("\n");
  return served;
}

}  // namespace

int main(int argc, char** argv) { return run_example(argc, argv, kUsage, kernel_path); }
