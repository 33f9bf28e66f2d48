// SPDX-License-Identifier: BSD-3-Clause
// An HTTP server on any port: the TCP of lwIP in a Poller's loop.
#include <arpa/inet.h>

#include <functional>

#include "command_line.hpp"
#include "host_address.hpp"
#include "ports.hpp"
#include "tcp_server/http_server.hpp"
#include "tcp_server/lwip_port.hpp"

using namespace pollux;
using namespace pollux::examples;

namespace {

constexpr const char* kUsage =
    "usage: tcp_server PORT --ip ADDRESS [--netmask 255.255.255.0] [--tcp-port 80] [--bytes 100000000]\n"
    "\n"
    "Serves a document of so many bytes by HTTP on a port, such as tap:plx0 or vfio:0000:01:00.0, with the TCP of "
    "lwIP.\n"
    "The other side needs no more than an address of the same network, for example:\n"
    "  tcp_server tap:plx0 --ip 10.9.0.2 &\n"
    "  ip addr add 10.9.0.1/24 dev plx0; ip link set plx0 up; curl -o document http://10.9.0.2/\n"
    "The document is the sequence of the 64-bit numbers 0, 1, 2, ... Ctrl-C ends the program with a summary.\n";

packet::Ipv4Address read_address(Words& words, const char* option, const char* otherwise) {
  const std::string text = words.value(option, otherwise);
  packet::Ipv4Address address{};
  if (inet_pton(AF_INET, text.c_str(), address.data()) != 1)
    words.refuse(fmt::format("{}: '{}' is not an IPv4 address; write it like 10.9.0.2", option, text));
  return address;
}

LwipPort::Address read_network(Words& words) {
  const LwipPort::Address network{.address = read_address(words, "--ip", ""),
                                  .netmask = read_address(words, "--netmask", "255.255.255.0")};
  if (!is_host_address(network.address)) words.refuse("--ip: no host has this address");
  std::uint32_t host = 0;
  for (const std::uint8_t byte : network.netmask) host = host << 8U | (byte ^ 0xFFU);
  if ((host & (host + 1)) != 0) words.refuse("--netmask: its bits that are set must come before all others");
  return network;
}

Result<void> serve(Ports& own, LwipPort& lwip) {
  Poller poller(own.context);
  const auto queue = poller.add(own.ports.front().rx(0), [&](Burst<64>& burst) { lwip.receive(burst); });
  if (!queue) return tl::unexpected(queue.error());
  const std::function<void()> tick = [&] {
    lwip.run_timers();
    poller.add_timer(own.context.clock().now() + LwipPort::kTimerPeriod, tick);
  };
  tick();
  return run_until_ctrl_c(own.context, poller);
}

Result<void> tcp_server(Words& words) {
  const LwipPort::Address address = read_network(words);
  const auto tcp_port = words.number<std::uint16_t>("--tcp-port", 80, 1, 65535);
  const auto bytes = words.number<std::uint64_t>("--bytes", 100'000'000, 1, std::uint64_t{1} << 40);
  const std::vector<std::string> uris = words.ports(1, 1);
  if (!words.mistake()) return words.mistake();

  const auto own = Ports::open(uris, false);  // it is one station
  if (!own) return tl::unexpected(own.error());
  Port& port = (*own)->ports.front();
  const auto lwip = LwipPort::create(port, *(*own)->cache, address);
  if (!lwip) return tl::unexpected(lwip.error());
  const auto server = HttpServer::listen(tcp_port, bytes);
  if (!server) return tl::unexpected(server.error());
  fmt::print(stderr, "serving {} bytes on {}\n", bytes, port.info().name);
  auto served = serve(**own, **lwip);
  const auto [connections, complete, refused, broken] = (*server)->counts();
  const auto [received, sent, no_pbuf, no_mbuf, ring_full] = (*lwip)->counts();
  fmt::print("connections: {}; documents: {} served, {} refused, {} broken off\n", connections, complete, refused,
             broken);
  fmt::print("frames: {} received, {} sent; dropped: {} no_pbuf, {} no_mbuf, {} ring_full\n", received, sent, no_pbuf,
             no_mbuf, ring_full);
  return served;
}

}  // namespace

int main(int argc, char** argv) { return run_example(argc, argv, kUsage, tcp_server); }
