// SPDX-License-Identifier: BSD-3-Clause
// Answers ARP, ping and UDP echo for one IPv4 address on any port, and sleeps while nothing comes: a Poller in use.
#include <arpa/inet.h>

#include "command_line.hpp"
#include "echo/responder.hpp"
#include "host_address.hpp"
#include "ports.hpp"

using namespace pollux;
using namespace pollux::examples;

namespace {

constexpr const char* kUsage =
    "usage: echo PORT --ip ADDRESS[/LENGTH] [--udp-port 7]\n"
    "\n"
    "Answers ARP, ping and UDP echo for the address on a port, such as tap:plx0, vfio:0000:01:00.0 or sim:0. LENGTH "
    "is\n"
    "that of its network's prefix (24). The other side needs no more than an address of the same network, for "
    "example:\n"
    "  ./echo tap:plx0 --ip 10.9.0.2 &\n"
    "  ip addr add 10.9.0.1/24 dev plx0; ip link set plx0 up; ping 10.9.0.2\n"
    "Ctrl-C ends the program with a summary.\n";

void read_address(Words& words, EchoResponder::Options& options) {
  const std::string text = words.value("--ip");
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto length = read_number<std::uint8_t>(slash == text.size() ? "24" : text.substr(slash + 1), 0, 32);
  if (!length || inet_pton(AF_INET, text.substr(0, slash).c_str(), options.address.data()) != 1)
    return words.refuse(fmt::format("--ip is required: '{}' is not an IPv4 address; write it like 10.9.0.2/24", text));
  if (!is_host_address(options.address)) return words.refuse(fmt::format("--ip: no host has the address {}", text));
  options.prefix = *length;
}

Result<void> echo(Words& words) {
  EchoResponder::Options options;
  read_address(words, options);
  options.udp_port = words.number<std::uint16_t>("--udp-port", 7, 1, 65535);
  const std::vector<std::string> uris = words.ports(1, 1);
  if (!words.mistake()) return words.mistake();

  const auto opened = Ports::open(uris, false);  // it is one station
  if (!opened) return tl::unexpected(opened.error());
  Port& port = (*opened)->ports.front();
  options.mac = port.mac();
  EchoResponder responder(options);
  DropCounter ignored("echo_ignored");
  DropCounter ring_full("echo_ring_full");
  Poller poller((*opened)->context);
  const auto queue = poller.add(port.rx(0), [&](Burst<64>& burst) {
    burst.drop_if(ignored, [&](Mbuf& frame) { return !responder.answer(frame); });
    port.tx(0).tx_burst(burst);
    burst.drop(ring_full, *(*opened)->cache);  // what the ring has no room for
  });
  if (!queue) return tl::unexpected(queue.error());
  fmt::print(stderr, "answering on {}\n", port.info().name);
  auto served = run_until_ctrl_c((*opened)->context, poller);
  const auto [arp, icmp, udp] = responder.answers();
  fmt::print("answered: {} ARP, {} ping, {} UDP; not answered: {}; no room to send: {}\n", arp, icmp, udp,
             ignored.value(), ring_full.value());
  return served;
}

}  // namespace

int main(int argc, char** argv) { return run_example(argc, argv, kUsage, echo); }
