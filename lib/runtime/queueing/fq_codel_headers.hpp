// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/mem/mbuf.hpp"

namespace pollux::queueing {

/// A hash of a frame's flow: addresses and, unless it is a fragment, protocol and ports. Frames without IP are one flow
/// for each pair of MAC addresses. `seed` is secret, so that nobody can construct flows with the same hash at will.
[[nodiscard]] std::uint32_t flow_hash(const Mbuf& frame, std::uint64_t seed) noexcept;

/// Sets "congestion experienced" (RFC 3168, 5) in a frame of an ECN-capable transport, and corrects the checksum of an
/// IPv4 header. True also if it was set already. False: the frame has no IP header in its first segment, is not
/// ECN-capable, or its bytes are shared or the application's.
[[nodiscard]] bool mark_congestion(Mbuf& frame) noexcept;

}  // namespace pollux::queueing
