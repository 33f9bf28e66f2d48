// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/mem/mbuf.hpp"

namespace pollux::gro {

/// What GRO may do with a frame.
enum class SegmentKind : std::uint8_t {
  /// Belongs to no flow, or cannot be trusted: it passes and changes nothing.
  other,
  /// Its headers are not in its first mbuf: it passes after all that is held.
  scattered,
  tcp
};

/// A frame with its TCP headers. Offsets are bytes from the start of the frame.
struct Segment {
  Mbuf* mbuf = nullptr;
  const std::uint8_t* bytes = nullptr;
  std::uint32_t hash = 0;  ///< of RSS; 0: none
  std::uint32_t vlan = 0;  ///< the tag in the metadata; 0: none
  std::uint32_t payload_length = 0;
  std::uint16_t l3 = 0;
  std::uint16_t l4 = 0;
  std::uint16_t payload = 0;
  bool is_ipv6 = false;
  bool ends_flow = false;  ///< is not merged, and ends the flow that it belongs to

  static constexpr std::uint32_t kHasVlan = 1U << 16;
};

/// Reads the headers of `mbuf` and checks its checksums. `segment` is complete only if the result is `tcp`.
[[nodiscard]] SegmentKind read_segment(Mbuf& mbuf, Segment& segment) noexcept;

}  // namespace pollux::gro
