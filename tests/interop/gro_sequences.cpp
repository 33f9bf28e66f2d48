// SPDX-License-Identifier: BSD-3-Clause
#include "gro_sequences.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <span>

#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/sums.hpp"
#include "vlan_frames.hpp"
#include "vxlan_frames.hpp"

namespace pollux::test {
namespace {

using packet::load16;
using packet::store16;
using packet::store32;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kEthernet = 14;
constexpr std::uint8_t kAck = 16;
/// The first deviations, which each kernel treats alike, apart from CWR. The rules for it, for IPv4 ids without DF,
/// flow labels and extension headers differ between Linux 6.1 and 6.18.
constexpr std::uint32_t kAlikeDeviations = 12;

/// A sender: what its next TCP segment or UDP datagram has.
struct Sender {
  std::uint8_t number = 0;
  bool ipv6 = false;
  bool udp = false;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  std::uint16_t window = 0;
  std::uint16_t id = 0;
  std::uint16_t id_step = 1;
  std::uint16_t fragment = 0x4000;
  std::uint8_t ttl = 64;
  std::uint8_t tos = 0;
  std::uint32_t flow_label = 0;
  std::uint8_t flags = kAck;
  std::uint32_t timestamp = 0;
  bool has_timestamp = false;
  std::uint8_t extensions = 0;  ///< headers of 8 bytes
  std::uint16_t payload = 0;
  Tunnel tunnel = {};

  [[nodiscard]] std::size_t l4() const { return kEthernet + (ipv6 ? 40U + extensions * 8U : 20U); }
  [[nodiscard]] std::size_t options() const { return has_timestamp && !udp ? 12 : 0; }
};

class Generator {
 public:
  Generator(std::uint64_t seed, SequenceKind kind) : random_(seed), kind_(kind) {}

  std::vector<SequenceFrame> sequence() {
    const std::size_t flows = chance(10) ? 9 + below(6) : 1 + below(4);
    deviation_ = std::array{0U, 3U, 12U, 40U}[below(4)];
    for (std::size_t i = 0; i < flows; ++i) senders_.push_back(sender(static_cast<std::uint8_t>(i)));
    std::vector<SequenceFrame> frames(1 + below(64));
    std::size_t current = 0;
    for (SequenceFrame& frame : frames) {
      if (chance(flows > 8 ? 60 : 20)) current = below(flows);
      frame = next(senders_[current]);
    }
    return frames;
  }

 private:
  std::uint32_t below(std::size_t limit) { return limit == 0 ? 0 : static_cast<std::uint32_t>(random_() % limit); }
  bool chance(std::uint32_t percent) { return below(100) < percent; }
  std::uint32_t number() { return static_cast<std::uint32_t>(random_()); }

  Sender sender(std::uint8_t index) {
    Sender made{.number = index, .ipv6 = chance(50), .sequence = chance(10) ? 0xFFFFFE00 : number()};
    made.acknowledgment = number();
    made.window = static_cast<std::uint16_t>(number());
    made.id = static_cast<std::uint16_t>(chance(10) ? 0xFFFD : number());
    made.id_step = chance(25) ? 0 : 1;
    made.fragment = chance(75) ? 0x4000 : 0;
    made.flow_label = number() & 0xFFFFF;
    made.has_timestamp = chance(60);
    made.timestamp = number();
    made.extensions = static_cast<std::uint8_t>(chance(15) ? 1 + below(2) : 0);
    made.payload = static_cast<std::uint16_t>(chance(50) ? 1400 : 1 + below(1400));
    if (chance(3)) made.flags = kAck | 128;  // CWR
    if (kind_ == SequenceKind::vlan) {
      made.id_step = 1;
      made.extensions = 0;
      made.flags = kAck;
    }
    if (kind_ == SequenceKind::udp_and_tcp) made.udp = chance(75);
    if (kind_ == SequenceKind::vxlan) {
      made.tunnel.ipv6 = chance(50);
      made.tunnel.has_checksum = chance(50);
      made.tunnel.id = static_cast<std::uint16_t>(number());
      made.tunnel.id_step = chance(25) ? 0 : 1;
      made.tunnel.fragment = chance(75) ? 0x4000 : 0;
    }
    return made;
  }

  /// Changes one field of the next segment; some changes stay.
  void deviate(Sender& now, Sender& later) {
    switch (below(kind_ == SequenceKind::vlan ? kAlikeDeviations : 17)) {
      case 0: now.sequence += below(3) - 1; break;
      case 1: now.acknowledgment = later.acknowledgment += 1 + below(3); break;
      case 2: now.window = later.window = static_cast<std::uint16_t>(now.window + 1); break;
      case 3: now.flags |= 8; break;  // PSH
      case 4: now.flags |= 1; break;  // FIN
      case 5:
        now.flags = static_cast<std::uint8_t>(now.flags ^ 1U << below(kind_ == SequenceKind::vlan ? 7 : 8));
        break;
      case 6: now.timestamp = later.timestamp += 1; break;
      case 7: now.payload = static_cast<std::uint16_t>(below(now.payload)); break;
      case 8: now.payload = static_cast<std::uint16_t>(now.payload + 1 + below(40)); break;
      case 9: now.payload = 0; break;
      case 10: now.ttl = later.ttl = static_cast<std::uint8_t>(now.ttl - 1); break;
      case 11: now.tos = static_cast<std::uint8_t>(1U << below(8)); break;
      // kAlikeDeviations are above.
      case 12: now.id = later.id = static_cast<std::uint16_t>(now.id + below(4)); break;
      case 13: now.fragment = static_cast<std::uint16_t>(now.fragment ^ 0x4000); break;
      case 14: now.flow_label = now.flow_label ^ 1U << below(20); break;
      case 15: now.has_timestamp = !now.has_timestamp; break;
      default: now.extensions ^= 1; break;
    }
  }

  void deviate_tunnel(Tunnel& now, Tunnel& later) {
    switch (below(8)) {
      case 0: now.ttl = later.ttl = static_cast<std::uint8_t>(now.ttl - 1); break;
      case 1: now.tos = static_cast<std::uint8_t>(1U << below(8)); break;
      case 2: now.id = later.id = static_cast<std::uint16_t>(now.id + below(4)); break;
      case 3: now.fragment ^= 0x4000; break;
      case 4: now.source_port ^= 1; break;
      case 5: now.flags ^= 1U << below(32); break;
      case 6: now.network ^= 1; break;
      default: now.has_checksum = !now.has_checksum; break;
    }
  }

  SequenceFrame next(Sender& sender) {
    Sender now = sender;
    if (chance(deviation_)) deviate(now, sender);
    if (chance(deviation_ / 8)) deviate(now, sender);
    SequenceFrame frame{.bytes = segment(now)};
    sender.sequence = now.sequence + now.payload;
    sender.id = static_cast<std::uint16_t>(now.id + now.id_step);
    if (kind_ != SequenceKind::vlan && chance(deviation_ / 3)) damage(frame, now);
    return kind_ == SequenceKind::vxlan ? tunnelled(frame, sender, now.tunnel) : frame;
  }
  SequenceFrame tunnelled(const SequenceFrame& inner, Sender& sender, Tunnel now) {
    if (chance(deviation_ / 3)) deviate_tunnel(now, sender.tunnel);
    SequenceFrame frame{.bytes = in_tunnel(now, inner.bytes)};
    sender.tunnel.id = static_cast<std::uint16_t>(now.id + now.id_step);
    if (!chance(deviation_ / 4)) return frame;
    // Damage to the first 80 bytes or the end, after the checksums were computed.
    frame.has_good_checksums = false;
    if (chance(20)) {
      frame.bytes.resize(frame.bytes.size() + 1 + below(4));
    } else {
      frame.bytes[kEthernet + below(std::min<std::size_t>(frame.bytes.size() - kEthernet, 80))] ^=
          static_cast<std::uint8_t>(1U << below(8));
    }
    return frame;
  }

  Bytes segment(const Sender& sender) {
    const std::size_t l4 = sender.l4();
    const std::size_t payload = l4 + (sender.udp ? 8 : 20) + sender.options();
    Bytes frame(payload + sender.payload);
    ethernet(frame, sender);
    sender.ipv6 ? ipv6(frame, sender) : ipv4(frame, sender);
    store16(&frame[l4], static_cast<std::uint16_t>(1000 + sender.number));
    store16(&frame[l4 + 2], 80);
    if (sender.udp) {
      store16(&frame[l4 + 4], static_cast<std::uint16_t>(frame.size() - l4));
    } else {
      tcp(&frame[l4], sender);
    }
    for (std::size_t i = payload; i < frame.size(); ++i) frame[i] = static_cast<std::uint8_t>(random_());
    sum(frame, l4, sender.udp);
    return frame;
  }
  static void tcp(std::uint8_t* header, const Sender& sender) {
    store32(header + 4, sender.sequence);
    store32(header + 8, sender.acknowledgment);
    header[12] = static_cast<std::uint8_t>((20 + sender.options()) / 4 << 4);
    header[13] = sender.flags;
    store16(header + 14, sender.window);
    if (sender.options() == 0) return;
    store32(header + 20, 0x0101080A);  // two paddings and the timestamps (RFC 7323, 3.2)
    store32(header + 24, sender.timestamp);
    store32(header + 28, 7);
  }
  void ethernet(Bytes& frame, const Sender& sender) {
    std::fill_n(frame.begin(), 12, std::uint8_t{2});
    frame[5] = 9;  // addressed to another station: the kernel's stack ignores it
    store16(&frame[12], sender.ipv6 ? 0x86DD : 0x0800);
  }
  static void ipv4(Bytes& frame, const Sender& sender) {
    std::uint8_t* const ip = frame.data() + kEthernet;
    ip[0] = 0x45;
    ip[1] = sender.tos;
    store16(ip + 2, static_cast<std::uint16_t>(frame.size() - kEthernet));
    store16(ip + 4, sender.id);
    store16(ip + 6, sender.fragment);
    ip[8] = sender.ttl;
    ip[9] = sender.udp ? 17 : 6;
    store32(ip + 12, 0x0A000001);
    store32(ip + 16, 0x0A000100U + sender.number);
    store16(ip + 10, packet::internet_checksum(std::span(ip, 20)));
  }
  static void ipv6(Bytes& frame, const Sender& sender) {
    std::uint8_t* const ip = frame.data() + kEthernet;
    store32(ip, 0x60000000U | std::uint32_t{sender.tos} << 20 | sender.flow_label);
    store16(ip + 4, static_cast<std::uint16_t>(frame.size() - kEthernet - 40));
    ip[7] = sender.ttl;
    ip[8] = ip[24] = 0xFD;
    ip[39] = sender.number;
    std::uint8_t* next = ip + 6;
    for (std::size_t i = 0; i < sender.extensions; ++i) {
      std::uint8_t* const extension = ip + 40 + i * 8;
      *next = i == 0 ? 0 : 60;  // hop-by-hop options, then destination options
      next = extension;
      extension[2] = 1;  // PadN of six bytes
      extension[3] = 4;
      extension[7] = static_cast<std::uint8_t>(sender.number);
    }
    *next = sender.udp ? 17 : 6;
  }
  static void sum(Bytes& frame, std::size_t l4, bool is_udp) {
    const bool is_ipv6 = frame[kEthernet] >> 4 == 6;
    packet::InternetSum sum;
    sum.add(std::span<const std::uint8_t>(frame).subspan(kEthernet + (is_ipv6 ? 8U : 12U), is_ipv6 ? 32 : 8));
    sum.add(is_udp ? 17U : 6U);
    sum.add(static_cast<std::uint32_t>(frame.size() - l4));
    sum.add(std::span<const std::uint8_t>(frame).subspan(l4));
    store16(&frame[l4 + (is_udp ? 6U : 16U)], is_udp ? packet::udp_checksum(sum.checksum()) : sum.checksum());
  }

  /// Changes bytes after the checksums were computed.
  void damage(SequenceFrame& frame, const Sender& sender) {
    Bytes& bytes = frame.bytes;
    const std::size_t l3 = kEthernet;
    const std::size_t l4 = sender.l4();
    frame.has_good_checksums = false;
    if (sender.udp && chance(30)) return damage_udp(&bytes[l4]);
    switch (below(12)) {
      case 0: bytes[l4 + (sender.udp ? 6U : 16U)] ^= 1; break;
      case 1: bytes[l3 + 10] ^= 1; break;  // the IPv4 checksum, or an address
      case 2: bytes.back() ^= 1; break;
      case 3:
        bytes.resize(bytes.size() + 1 + below(6));  // padding
        break;
      case 4: bytes.resize(std::max<std::size_t>(bytes.size() - 1 - below(bytes.size() - l3), l3)); break;
      case 5: change_ipv4(bytes, l3 + 6, static_cast<std::uint16_t>(1U << below(16))); break;
      case 6: change_ipv4(bytes, l3, 0x0100); break;  // options
      case 7: bytes[l3 + (sender.ipv6 ? 6U : 9U)] = std::array<std::uint8_t, 5>{17, 1, 58, 44, 255}[below(5)]; break;
      case 8: bytes[std::min(l4 + 12, bytes.size() - 1)] = static_cast<std::uint8_t>(below(16) << 4); break;
      case 9: store16(&bytes[12], std::array<std::uint16_t, 4>{0x0806, 0x88B5, 0x0800, 0x86DD}[below(4)]); break;
      case 10: bytes[6 + below(6)] ^= 1; break;
      default:
        bytes[l3 + below(std::min<std::size_t>(bytes.size() - l3, 80))] ^= static_cast<std::uint8_t>(1U << below(8));
    }
  }
  void damage_udp(std::uint8_t* udp) {
    if (chance(50)) {
      store16(udp + 6, 0);  // no checksum
    } else {
      store16(udp + 4, static_cast<std::uint16_t>(load16(udp + 4) + below(3) - 1));
    }
  }
  /// Changes bits of a half word, and keeps the header's checksum right.
  static void change_ipv4(Bytes& bytes, std::size_t at, std::uint16_t bits) {
    const std::uint16_t before = load16(&bytes[at]);
    const auto after = static_cast<std::uint16_t>(before ^ bits);
    store16(&bytes[at], after);
    store16(&bytes[kEthernet + 10], packet::updated_checksum(load16(&bytes[kEthernet + 10]), before, after));
  }

  std::mt19937_64 random_;
  SequenceKind kind_;
  std::uint32_t deviation_ = 0;  // percent of the segments
  std::vector<Sender> senders_;
};

}  // namespace

std::vector<SequenceFrame> fuzzed_sequence(std::uint64_t seed, SequenceKind kind) {
  if (kind != SequenceKind::vlan) return Generator(seed, kind).sequence();
  auto frames = Generator(seed, kind).sequence();
  tag_some(frames, seed);
  return frames;
}

}  // namespace pollux::test
