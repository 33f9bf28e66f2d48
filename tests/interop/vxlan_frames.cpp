// SPDX-License-Identifier: BSD-3-Clause
#include "vxlan_frames.hpp"

#include <algorithm>
#include <span>

#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/sums.hpp"

namespace pollux::test {
namespace {

using packet::store16;
using packet::store32;

void write_outer_ip(std::uint8_t* ip, const Tunnel& tunnel, std::size_t bytes) {
  if (tunnel.ipv6) {
    store32(ip, 0x60000000U | std::uint32_t{tunnel.tos} << 20);
    store16(ip + 4, static_cast<std::uint16_t>(bytes - 40));
    ip[6] = 17;
    ip[7] = tunnel.ttl;
    ip[8] = ip[24] = 0xFD;
    ip[39] = 1;
    return;
  }
  ip[0] = 0x45;
  ip[1] = tunnel.tos;
  store16(ip + 2, static_cast<std::uint16_t>(bytes));
  store16(ip + 4, tunnel.id);
  store16(ip + 6, tunnel.fragment);
  ip[8] = tunnel.ttl;
  ip[9] = 17;
  store32(ip + 12, 0xC0000201);
  store32(ip + 16, 0xC0000202);
  store16(ip + 10, packet::internet_checksum(std::span(ip, 20)));
}

}  // namespace

std::vector<std::uint8_t> in_tunnel(const Tunnel& tunnel, const std::vector<std::uint8_t>& frame) {
  constexpr std::size_t l3 = 14;
  const std::size_t l4 = l3 + (tunnel.ipv6 ? 40 : 20);
  std::vector<std::uint8_t> whole(l4 + 16);
  whole.insert(whole.end(), frame.begin(), frame.end());
  std::fill_n(whole.begin(), 12, std::uint8_t{2});
  whole[5] = 9;  // addressed to another station
  store16(&whole[12], tunnel.ipv6 ? 0x86DD : 0x0800);
  write_outer_ip(&whole[l3], tunnel, whole.size() - l3);
  std::uint8_t* const udp = &whole[l4];
  store16(udp, tunnel.source_port);
  store16(udp + 2, 4789);
  store16(udp + 4, static_cast<std::uint16_t>(whole.size() - l4));
  store32(udp + 8, tunnel.flags);
  store32(udp + 12, tunnel.network << 8);
  if (!tunnel.has_checksum) return whole;
  const std::span<const std::uint8_t> bytes(whole);
  packet::InternetSum sum;
  sum.add(bytes.subspan(l3 + (tunnel.ipv6 ? 8U : 12U), tunnel.ipv6 ? 32 : 8));
  sum.add(17U);
  sum.add(static_cast<std::uint32_t>(whole.size() - l4));
  sum.add(bytes.subspan(l4));
  store16(udp + 6, packet::udp_checksum(sum.checksum()));
  return whole;
}

}  // namespace pollux::test
