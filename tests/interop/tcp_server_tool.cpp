// SPDX-License-Identifier: BSD-3-Clause
// Passes frames of another program to the TCP/IP stack and the HTTP server of the example tcp_server, without a program
// around them. "tcp_server_tool BYTES" serves a document of that length at 10.6.0.2. It reads frames as hexadecimal
// lines; an empty line runs the stack's timers. For each line it prints the frames that the stack sends, separated by
// spaces.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "interop/need.hpp"
#include "pollux/pollux.hpp"
#include "support/hex.hpp"
#include "tcp_server/http_server.hpp"
#include "tcp_server/lwip_port.hpp"

namespace {

using namespace pollux;
using examples::HttpServer;
using examples::LwipPort;

using test::need;

/// A frame in as many mbufs as it needs.
MbufPtr frame_of(MempoolCache& cache, const std::vector<std::uint8_t>& bytes) {
  MbufPtr first;
  for (std::size_t at = 0; at < bytes.size() || first == nullptr;) {
    MbufPtr part = cache.allocate();
    const std::size_t count = std::min<std::size_t>(bytes.size() - at, part->tailroom());
    std::copy_n(bytes.data() + at, count, part->append(static_cast<std::uint32_t>(count)));
    at += count;
    if (first == nullptr) {
      first = std::move(part);
    } else if (!first->chain(part)) {
      std::exit(3);
    }
  }
  return first;
}

std::string frames_at(Port& port) {
  std::string text;
  Burst<64> burst;
  while (port.rx(0).rx_burst(burst) != 0) {
    for (const Mbuf& frame : burst) {
      std::vector<std::uint8_t> bytes(frame.packet_length());
      static_cast<void>(frame.copy_out(0, bytes));
      text += fmt::format("{}{:02x}", text.empty() ? "" : " ", fmt::join(bytes, ""));
    }
    burst = {};
  }
  return text;
}

}  // namespace

int main(int, char** arguments) {
  Context context({.huge_pages = HugePages::never});
  Port own = need(open(context, "ring:stack:0"));
  Settings config;
  config.promiscuous = true;
  Port other = need(open(context, "ring:stack:1", config));
  Mempool pool = need(Mempool::create(context, {.count = 4096}));
  MempoolCache cache(pool);
  const auto lwip = need(LwipPort::create(own, cache, {.address = {10, 6, 0, 2}, .netmask = {255, 255, 255, 0}}));
  const auto server = need(HttpServer::listen(80, std::strtoull(arguments[1], nullptr, 10)));
  for (std::string line; std::getline(std::cin, line);) {
    if (line.empty()) {
      lwip->run_timers();
    } else {
      Burst<64> burst;
      MbufPtr frame = frame_of(cache, test::bytes_of_hex(line));
      static_cast<void>(burst.push(frame));
      lwip->receive(burst);
    }
    std::cout << frames_at(other) << std::endl;
  }
  return 0;
}
