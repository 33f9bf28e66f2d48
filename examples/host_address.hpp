// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/net/packet/ip.hpp"

namespace pollux::examples {

/// Whether an address is one of a host on a network: not "this network", loopback, multicast, class E or the limited
/// broadcast (RFC 1122, 3.2.1.3). No packet between hosts has another one.
[[nodiscard]] constexpr bool is_host_address(const packet::Ipv4Address& address) noexcept {
  return address[0] != 0 && address[0] != 127 && address[0] < 224;
}

}  // namespace pollux::examples
