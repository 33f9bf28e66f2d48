// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "pollux/net/packet/toeplitz.hpp"

namespace pollux {

/// Which frames receive-side scaling (RSS) hashes, and by which fields: the addresses, and for TCP and UDP types the
/// ports, too. The first type of this order that applies to a frame and is enabled decides: TCP and UDP types, then IP
/// types. A frame without an enabled type has no hash and goes to queue 0. All fragments count as IP without ports.
struct RssTypes {
  /// Types of frames, to combine with `|`.
  enum Bit : std::uint32_t {
    ipv4 = 1,       ///< addresses, of packets that no other enabled type takes
    tcp_ipv4 = 2,   ///< addresses and ports
    udp_ipv4 = 4,   ///< addresses and ports
    ipv6 = 8,       ///< as `ipv4`
    tcp_ipv6 = 16,  ///< addresses and ports
    udp_ipv6 = 32,  ///< addresses and ports
    /// Types that take the addresses from a home address option and a routing header, if the packet has them. On a
    /// card that does not look into extension headers (docs/82576/errata.md, E-IPV6EX) these types are as the three
    /// above, but never apply to packets with such headers.
    ipv6_ex = 64,
    tcp_ipv6_ex = 128,
    udp_ipv6_ex = 256,
  };
  static constexpr std::uint32_t kAll = 511;  ///< every type

  /// By default UDP ports are not hashed: later fragments of a datagram have no ports and would go to another queue.
  std::uint32_t bits = ipv4 | tcp_ipv4 | ipv6 | tcp_ipv6 | tcp_ipv6_ex;

  /// Whether frames of that type are hashed.
  [[nodiscard]] constexpr bool has(Bit bit) const noexcept { return (bits & bit) != 0; }
  [[nodiscard]] constexpr bool operator==(const RssTypes&) const noexcept = default;
};

/// How receive-side scaling spreads frames over the receive queues. On a started port a change takes effect at once;
/// frames that arrive during it may be spread by a mixture of both. Errors: invalid_argument (a table of another size,
/// a queue that the port does not have, a key that is not symmetric, no types while a pool has two queues),
/// not_supported (a type that the card does not have), bad_state (the port is started, and RSS would be turned on or
/// off; virtio: the table names a queue that is stopped, or queue 0 is). Fewer queues than the table names are refused,
/// too.
struct RssConfig {
  packet::RssKey key = packet::kDefaultRssKey;  ///< 40 bytes, first byte first
  /// The receive queue of each value of the hash's low bits; with pools of two queues, 0 or 1 for the queue of a pool
  /// (Settings::pools). Empty: the queues in turn. Otherwise it has PortLimits::rss_table entries.
  std::vector<std::uint16_t> table = {};
  RssTypes types = {};  ///< none: RSS is off, and all frames go to queue 0
  /// Requires that both directions of a flow have the same hash. This depends on the key: it must repeat every 16 bits,
  /// like packet::kSymmetricRssKey, or the setting is rejected.
  bool symmetric = false;

  [[nodiscard]] bool operator==(const RssConfig&) const = default;
};

}  // namespace pollux
