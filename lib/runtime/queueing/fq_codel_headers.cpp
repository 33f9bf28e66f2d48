// SPDX-License-Identifier: BSD-3-Clause
#include "runtime/queueing/fq_codel_headers.hpp"

#include <array>
#include <cstring>

#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/parse.hpp"
#include "pollux/net/packet/sums.hpp"

namespace pollux::queueing {
namespace {

constexpr std::uint32_t kMacs = 12;
constexpr std::uint32_t kPorts = 4;
struct Addresses {
  std::uint32_t offset;
  std::uint32_t bytes;
};
constexpr Addresses kIpv4{12, 8};
constexpr Addresses kIpv6{8, 32};
constexpr std::size_t kMostBytes = 40;  // that are read from a header on

__extension__ using Wide = unsigned __int128;

/// Both halves of a 128-bit product depend on all bits of both factors.
std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  const auto product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

class Hash {
 public:
  explicit Hash(std::uint64_t seed) noexcept : state_(seed) {}
  /// At most the first 64 bytes of `at`.
  void add(const std::uint8_t* at, std::size_t bytes) noexcept {
    for (; bytes != 0;) {
      const std::size_t step = std::min<std::size_t>(bytes, 8);
      std::uint64_t word = 0;
      std::memcpy(&word, at, step);
      add(word);
      at += step;
      bytes -= step;
    }
  }
  void add(std::uint64_t word) noexcept {
    constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15;  // 2^64 divided by the golden ratio
    state_ = mix(state_ ^ word, kOdd) ^ state_ << 1U ^ state_ >> 63U;
  }
  [[nodiscard]] std::uint32_t value() const noexcept { return static_cast<std::uint32_t>(state_ >> 32U); }

 private:
  std::uint64_t state_;
};

// Offsets in a packet of TCP or UDP over IPv4 without a tag, an option or fragments.
constexpr std::size_t kUsualIp = packet::EthernetHeader::kLength;
constexpr std::size_t kUsualPorts = kUsualIp + 20;
constexpr std::size_t kUsualBytes = kUsualPorts + 20;  // with a header of TCP

/// Whether the frame is such a packet with its headers in the first mbuf, as nearly every one is. `parse` finds the
/// same in it, for more instructions.
bool is_usual(const Mbuf& frame) noexcept {
  constexpr std::uint8_t kDoNotFragment = 0x40;
  if (frame.length() < kUsualBytes) return false;
  const std::uint8_t* const ip = frame.data() + kUsualIp;
  return packet::load16(ip - 2) == packet::ether_type::kIpv4 && ip[0] == 0x45 && (ip[6] & ~kDoNotFragment) == 0 &&
         ip[7] == 0 && (ip[9] == packet::ip_protocol::kTcp || ip[9] == packet::ip_protocol::kUdp);
}

std::uint64_t protocol_and_ports(std::uint8_t protocol, const std::uint8_t* ports) noexcept {
  std::uint32_t both = 0;
  std::memcpy(&both, ports, kPorts);
  return std::uint64_t{both} << 8U | protocol;
}

// A function of its own, so that usual packets save no registers for it.
[[gnu::noinline]] std::uint32_t parsed_flow_hash(const Mbuf& frame, Hash hash) noexcept {
  const packet::Layout layout = packet::parse(frame);
  const std::uint8_t* data = frame.data();
  std::size_t size = frame.length();
  std::array<std::uint8_t, packet::kMaxHeaderBytes> copy;
  // A flow is the same however its frames are cut into mbufs.
  if (frame.next() != nullptr && size < std::size_t{std::max(layout.l3, layout.l4)} + kMostBytes) {
    size = frame.copy_out(0, copy);
    data = copy.data();
  }
  const Addresses addresses = layout.type.has(PacketType::ipv4) ? kIpv4 : kIpv6;
  if (!layout.is_ip() || layout.l3 + addresses.offset + addresses.bytes > size) {
    hash.add(data, std::min<std::size_t>(size, kMacs));
    return hash.value();
  }
  hash.add(data + layout.l3 + addresses.offset, addresses.bytes);
  // Only the first fragment of a datagram has ports and, over IPv6, a protocol. All of them must be one flow.
  if (layout.fragment != packet::Fragment::none) return hash.value();
  // Also behind lengths that contradict each other, of which is_usual knows nothing.
  const bool has_ports = layout.protocol == packet::ip_protocol::kTcp || layout.protocol == packet::ip_protocol::kUdp ||
                         layout.protocol == packet::ip_protocol::kSctp;
  const bool all_there = has_ports && layout.l4 + kPorts <= size;
  hash.add(all_there ? protocol_and_ports(layout.protocol, data + layout.l4) : layout.protocol);
  return hash.value();
}

constexpr unsigned kNotCapable = 0;
constexpr unsigned kCongestion = 3;
constexpr std::uint32_t kIpv4Minimum = 20;
constexpr std::uint32_t kChecksum = 10;  // offset in the header

}  // namespace

std::uint32_t flow_hash(const Mbuf& frame, std::uint64_t seed) noexcept {
  Hash hash(seed);
  if (!is_usual(frame)) [[unlikely]]
    return parsed_flow_hash(frame, hash);
  const std::uint8_t* const ip = frame.data() + kUsualIp;
  hash.add(ip + kIpv4.offset, kIpv4.bytes);
  hash.add(protocol_and_ports(ip[9], frame.data() + kUsualPorts));
  return hash.value();
}

bool mark_congestion(Mbuf& frame) noexcept {
  const packet::Layout layout = packet::parse(frame);
  if (!layout.is_ip() || frame.length() < layout.l3 + kIpv4Minimum) return false;
  std::uint8_t* const header = frame.data() + layout.l3;
  const bool is_ipv4 = layout.type.has(PacketType::ipv4);
  // The first 16 bits: version, then for IPv4 the header's length and the old TOS byte, for IPv6 the traffic class.
  const unsigned shift = is_ipv4 ? 0 : 4;
  const std::uint16_t before = packet::load16(header);
  const unsigned ecn = before >> shift & kCongestion;
  if (ecn == kNotCapable) return false;
  if (ecn == kCongestion) return true;
  if (!MbufAccess::owns_bytes(frame)) return false;
  const auto after = static_cast<std::uint16_t>(before | kCongestion << shift);
  packet::store16(header, after);
  if (is_ipv4) {
    packet::store16(header + kChecksum, packet::updated_checksum(packet::load16(header + kChecksum), before, after));
  }
  return true;
}

}  // namespace pollux::queueing
