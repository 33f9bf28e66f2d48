// SPDX-License-Identifier: BSD-3-Clause
// Gives another program access to the packet parser and builder. "packet_tool build" prints one frame per line: its
// name, a tab and its bytes in hexadecimal. "packet_tool parse" reads frames as hexadecimal lines and prints the
// parser's result for each.
#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/net/packet/classify.hpp"
#include "support/hex.hpp"
#include "support/various_frames.hpp"

namespace {

using namespace pollux;

std::string to_hex(const std::vector<std::uint8_t>& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string_view word(ChecksumStatus status) {
  if (status == ChecksumStatus::good) return "good";
  return status == ChecksumStatus::bad ? "bad" : "unknown";
}

std::string found_in(const std::vector<std::uint8_t>& frame) {
  static const packet::ToeplitzHash hash;
  const packet::Layout layout = packet::parse(frame);
  return fmt::format(
      "type={} ether_type={} vlans={} vlan0={} vlan1={} fragment={} truncated={} malformed={} l3={} l4={} "
      "payload={} end={} protocol={} hash={} ip={} transport={}\n",
      layout.type.bits, layout.ether_type, layout.vlan_count, layout.vlans[0], layout.vlans[1],
      static_cast<int>(layout.fragment), int{layout.truncated}, int{layout.malformed}, layout.l3, layout.l4,
      layout.payload, layout.end, layout.protocol,
      packet::rss_hash(hash, frame, layout, {.udp_ports = true}).value_or(0), word(packet::ip_checksum(frame, layout)),
      word(packet::l4_checksum(frame, layout)));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view order = argc == 2 ? argv[1] : "";
  if (order == "build") {
    for (const auto& frame : test::various_frames()) std::cout << frame.name << '\t' << to_hex(frame.bytes) << '\n';
    return 0;
  }
  if (order == "parse") {
    for (std::string line; std::getline(std::cin, line);) std::cout << found_in(test::bytes_of_hex(line));
    return 0;
  }
  std::cerr << "usage: packet_tool build|parse\n";
  return 2;
}
