// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/mem/mbuf.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/runtime/gro.hpp"

namespace pollux::gro {

/// What GRO may do with a frame.
enum class SegmentKind : std::uint8_t {
  /// Belongs to no flow, or cannot be trusted: it passes and changes nothing.
  other,
  /// Its headers are not in its first mbuf: it passes after all that is held.
  scattered,
  mergeable
};

/// Where the headers of a frame are, in bytes from its start.
struct HeaderLayout {
  std::uint16_t outer_l3 = 0;  ///< the IP header of a VXLAN tunnel; 0: no tunnel
  std::uint16_t outer_l4 = 0;  ///< its UDP header
  std::uint16_t l3 = 0;
  std::uint16_t l4 = 0;
  std::uint16_t payload = 0;
  bool outer_is_ipv6 = false;
  bool is_ipv6 = false;
  bool is_udp = false;  ///< else TCP

  [[nodiscard]] bool in_tunnel() const noexcept { return outer_l3 != 0; }
  [[nodiscard]] std::uint8_t protocol() const noexcept {
    return is_udp ? packet::ip_protocol::kUdp : packet::ip_protocol::kTcp;
  }
};

/// A frame with its TCP or UDP header.
struct Segment : HeaderLayout {
  Mbuf* mbuf = nullptr;
  const std::uint8_t* bytes = nullptr;
  std::uint32_t hash = 0;  ///< of RSS; 0: none
  std::uint32_t vlan = 0;  ///< the tag in the metadata; 0: none
  std::uint32_t payload_length = 0;
  bool ends_flow = false;  ///< is not merged, and ends the flow that it belongs to

  static constexpr std::uint32_t kHasVlan = 1U << 16;
  static constexpr std::uint32_t kInnerVlan = 1U << 17;  ///< RxMetadata::vlan_is_inner
};

/// Reads the headers of `mbuf` and checks its checksums. `segment` is complete only if the result is `mergeable`.
[[nodiscard]] SegmentKind read_segment(Mbuf& mbuf, const GroOptions& options, Segment& segment) noexcept;

}  // namespace pollux::gro
