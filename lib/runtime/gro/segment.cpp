// SPDX-License-Identifier: BSD-3-Clause
#include "runtime/gro/segment.hpp"

#include "pollux/net/packet/ethernet.hpp"
#include "runtime/gro/header_words.hpp"
#include "runtime/gro/read.hpp"

namespace pollux::gro {
namespace {

constexpr std::uint16_t kTypeVlan = swap16(packet::ether_type::kVlan);
constexpr std::uint16_t kTypeService = swap16(packet::ether_type::kService);

/// Sets `l3`, and the EtherType as it is in memory.
SegmentKind read_ethernet(Segment& segment, std::uint16_t& type) noexcept {
  if (auto kind = missing(*segment.mbuf, kEthernet)) return *kind;
  type = word16(segment.bytes + kEthernet - 2);
  std::uint16_t l3 = kEthernet;
  for (int tags = 0; tags < 2 && (type == kTypeVlan || type == kTypeService); ++tags) {
    l3 = static_cast<std::uint16_t>(l3 + kTag);
    if (auto kind = missing(*segment.mbuf, l3)) return *kind;
    type = word16(segment.bytes + l3 - 2);
  }
  segment.l3 = l3;
  return SegmentKind::mergeable;
}

SegmentKind read_transport(Segment& segment, const GroOptions& options, std::uint8_t protocol,
                           ChecksumStatus checksum) noexcept {
  if (protocol == packet::ip_protocol::kTcp) [[likely]]
    return read_tcp(segment, checksum);
  if (protocol != packet::ip_protocol::kUdp || (!options.udp && options.vxlan_port == 0)) return SegmentKind::other;
  if (auto kind = missing(*segment.mbuf, segment.l4 + 4U)) return *kind;
  if (options.vxlan_port != 0 && swap16(word16(segment.bytes + segment.l4 + 2)) == options.vxlan_port) {
    return read_vxlan(segment, checksum);
  }
  return options.udp ? read_udp(segment, checksum) : SegmentKind::other;
}

/// Whether nobody else uses the mbuf's bytes, and nothing is requested that a merged frame would lose.
bool can_merge(const Mbuf& mbuf, bool in_tunnel) noexcept {
  constexpr unsigned kNotOwn = MbufAccess::kShared | MbufAccess::kClone | MbufAccess::kExternal;
  const unsigned special = static_cast<std::uint8_t>(MbufAccess::word(mbuf) >> MbufAccess::kSpecialShift);
  if (special == 0) [[likely]]
    return true;
  const std::uint32_t kept = in_tunnel ? 0 : TxOffload::kChecksums;
  return (special & kNotOwn) == 0 && (mbuf.tx_offload().flags & ~kept) == 0;
}

}  // namespace

SegmentKind read_segment(Mbuf& mbuf, const GroOptions& options, Segment& segment) noexcept {
  const RxMetadata metadata(mbuf);
  if (metadata.is_bad_frame()) return SegmentKind::other;
  segment.mbuf = &mbuf;
  segment.bytes = mbuf.data();
  std::uint16_t type = 0;
  std::uint8_t protocol = 0;
  SegmentKind kind = read_ethernet(segment, type);
  if (kind == SegmentKind::mergeable) kind = read_ip(segment, type, metadata.ip_checksum(), protocol);
  if (kind == SegmentKind::mergeable) kind = read_transport(segment, options, protocol, metadata.l4_checksum());
  if (kind != SegmentKind::mergeable) return kind;
  segment.hash = metadata.rss_hash().value_or(0);
  const auto vlan = metadata.vlan();
  segment.vlan = vlan ? Segment::kHasVlan | (metadata.vlan_is_inner() ? Segment::kInnerVlan : 0) | *vlan : 0;
  // A first mbuf of headers alone would become an empty one.
  if (!can_merge(mbuf, segment.in_tunnel()) || (mbuf.length() == segment.payload && segment.payload_length != 0)) {
    segment.ends_flow = true;
  }
  return SegmentKind::mergeable;
}

}  // namespace pollux::gro
