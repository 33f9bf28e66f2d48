// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

namespace pollux::test {

/// The headers that a tunnel's end puts before each frame.
struct Tunnel {
  bool ipv6 = false;
  std::uint8_t tos = 0;
  std::uint8_t ttl = 64;
  std::uint16_t fragment = 0x4000;
  std::uint16_t id = 0;
  std::uint16_t id_step = 1;
  std::uint16_t source_port = 50000;
  std::uint32_t flags = 0x08000000;  ///< the first word of the VXLAN header
  std::uint32_t network = 7;         ///< its identifier
  bool has_checksum = false;
};

/// Ethernet, IP, UDP and VXLAN headers (RFC 7348, 5) with right lengths and checksums, and `frame` behind them.
[[nodiscard]] std::vector<std::uint8_t> in_tunnel(const Tunnel& tunnel, const std::vector<std::uint8_t>& frame);

}  // namespace pollux::test
