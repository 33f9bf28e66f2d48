// SPDX-License-Identifier: BSD-3-Clause
// --fused: forwarding by exchanging the buffers of two rings.
#include <cstring>

#include "l2fwd/l2fwd.hpp"

namespace pollux::examples {

// Frames without room in the transmit ring stay in the receive ring, so none are dropped here.
void Forwarder::forward_fused(const Route& route, std::uint32_t limit) noexcept {
  std::uint64_t bytes = 0;
  const std::uint32_t moved = route.path->burst(limit, [&](ForwardedFrame& frame) {
    if (options_.update_macs) std::memcpy(frame.data, route.macs.data(), route.macs.size());
    bytes += frame.packet_length;
  });
  polls_.add(1);
  if (moved == 0) empty_polls_.add(1);
  count(moved, bytes);
}

}  // namespace pollux::examples
