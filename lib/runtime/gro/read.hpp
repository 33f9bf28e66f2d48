// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>

#include "pollux/net/rx_metadata.hpp"
#include "runtime/gro/segment.hpp"

namespace pollux::gro {

/// Reading one header of a frame after the other. Each function returns `mergeable` if the frame may be merged as far
/// as it has been read, and then has set the members of `segment` that the comment names.

/// Whether the frame ends before `end`, or its first mbuf does.
[[nodiscard]] inline std::optional<SegmentKind> missing(const Mbuf& mbuf, std::uint32_t end) noexcept {
  if (end <= mbuf.length()) [[likely]]
    return std::nullopt;
  return end <= mbuf.packet_length() ? SegmentKind::scattered : SegmentKind::other;
}

/// An IP header of EtherType `type` (as it is in memory) at `segment.l3`: sets `l4`, `is_ipv6` and `protocol`, and
/// `ends_flow` if it has to. `checksum`: the status of an IPv4 header's checksum.
[[nodiscard]] SegmentKind read_ip(Segment& segment, std::uint16_t type, ChecksumStatus checksum,
                                  std::uint8_t& protocol) noexcept;

/// A TCP or UDP header at `segment.l4`: sets `payload` and `payload_length`. `checksum`: the status of its checksum.
[[nodiscard]] SegmentKind read_tcp(Segment& segment, ChecksumStatus checksum) noexcept;
[[nodiscard]] SegmentKind read_udp(Segment& segment, ChecksumStatus checksum) noexcept;

/// A VXLAN tunnel, whose UDP header is at `segment.l4`, and the TCP segment in it: sets all of HeaderLayout.
[[nodiscard]] SegmentKind read_vxlan(Segment& segment, ChecksumStatus checksum) noexcept;

/// Whether the TCP or UDP checksum at `segment.l4` is right: `status` says so, or software sums the segment.
[[nodiscard]] bool transport_is_good(const Segment& segment, std::uint8_t protocol, ChecksumStatus status) noexcept;

}  // namespace pollux::gro
