// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "runtime/gro/flow.hpp"

namespace pollux::gro {

/// Bytes of the VXLAN header (RFC 7348, 5).
inline constexpr std::uint16_t kVxlan = 8;

/// Whether UDP ports, the use of a UDP checksum, the VXLAN header and the inner Ethernet header are the same. Both are
/// in a tunnel of the same layout.
[[nodiscard]] bool same_tunnel(const Flow& flow, const Segment& segment) noexcept;

/// Writes the UDP header of the tunnel for a frame of `flow.length` bytes: the length, and, unless the tunnel uses no
/// checksum, the sum of the pseudo-header without the length (TxOffload).
void finish_tunnel(const Flow& flow) noexcept;

}  // namespace pollux::gro
