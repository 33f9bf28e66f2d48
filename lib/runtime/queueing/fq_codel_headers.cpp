// SPDX-License-Identifier: BSD-3-Clause
#include "runtime/queueing/fq_codel_headers.hpp"

#include <array>
#include <cstring>

#include "pollux/net/packet/byte_order.hpp"
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

constexpr unsigned kNotCapable = 0;
constexpr unsigned kCongestion = 3;
constexpr std::uint32_t kIpv4Minimum = 20;
constexpr std::uint32_t kChecksum = 10;  // offset in the header

}  // namespace

std::uint32_t flow_hash(const Mbuf& frame, std::uint64_t seed) noexcept {
  Hash hash(seed);
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
  hash.add(std::uint64_t{layout.protocol});
  const bool has_ports = layout.payload > layout.l4 && layout.l4 != 0;
  if (has_ports && layout.l4 + kPorts <= size) hash.add(data + layout.l4, kPorts);
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
