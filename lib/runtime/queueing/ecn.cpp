// SPDX-License-Identifier: BSD-3-Clause
#include "runtime/queueing/ecn.hpp"

#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/parse.hpp"

namespace pollux::queueing {
namespace {

constexpr unsigned kNotCapable = 0;
constexpr unsigned kCongestion = 3;
constexpr std::uint32_t kIpv4Minimum = 20;
constexpr std::uint32_t kChecksum = 10;  // offset in the header

/// RFC 1624, equation 3.
void correct_checksum(std::uint8_t* header, unsigned before, unsigned after) noexcept {
  std::uint32_t sum = static_cast<std::uint16_t>(~packet::load16(header + kChecksum));
  sum += static_cast<std::uint16_t>(~before) + after;
  sum = (sum & 0xFFFFU) + (sum >> 16U);
  sum = (sum & 0xFFFFU) + (sum >> 16U);
  packet::store16(header + kChecksum, static_cast<std::uint16_t>(~sum));
}

}  // namespace

bool mark_congestion(Mbuf& frame) noexcept {
  const packet::Layout layout = packet::parse(frame);
  if (!layout.is_ip() || frame.length() < layout.l3 + kIpv4Minimum) return false;
  std::uint8_t* const header = frame.data() + layout.l3;
  const bool is_ipv4 = layout.type.has(PacketType::ipv4);
  // The first 16 bits: version, then for IPv4 the header's length and the old TOS byte, for IPv6 the traffic class.
  const unsigned shift = is_ipv4 ? 0 : 4;
  const unsigned before = packet::load16(header);
  const unsigned ecn = before >> shift & kCongestion;
  if (ecn == kNotCapable) return false;
  if (ecn == kCongestion) return true;
  if (!MbufAccess::owns_bytes(frame)) return false;
  const unsigned after = before | kCongestion << shift;
  packet::store16(header, static_cast<std::uint16_t>(after));
  if (is_ipv4) correct_checksum(header, before, after);
  return true;
}

}  // namespace pollux::queueing
