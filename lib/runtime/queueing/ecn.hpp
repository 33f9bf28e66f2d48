// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/mem/mbuf.hpp"

namespace pollux::queueing {

/// Sets "congestion experienced" (RFC 3168, 5) in a frame of an ECN-capable transport, and corrects the checksum of an
/// IPv4 header. True also if it was set already. False: the frame has no IP header in its first segment, is not
/// ECN-capable, or its bytes are shared or the application's.
[[nodiscard]] bool mark_congestion(Mbuf& frame) noexcept;

}  // namespace pollux::queueing
