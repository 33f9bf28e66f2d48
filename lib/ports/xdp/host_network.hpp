// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "pollux/net/placed_settings.hpp"

/// What a host needs of an interface that a port shares with it, and which flow rules leave it that.
namespace pollux::xdp {

/// Addresses that have their first `length` bits in common.
struct HostAddresses {
  bool ipv6 = false;
  std::array<std::uint8_t, 16> first{};  ///< IPv4: the first 4 bytes
  unsigned length = 0;                   ///< bits
};

struct HostNetwork {
  /// An interface with a default route: the one asked for, or a bridge, bond or VLAN above it. Empty: none has one.
  std::string default_route;
  bool is_tagged = false;            ///< there is such a route over an interface above, which may be a VLAN
  std::vector<HostAddresses> owned;  ///< that the kernel takes as its own, broadcasts included
};

/// Of the thread's network namespace, as its kernel has it now. A default route is one of less than 8 bits, in any
/// table, with any number of next hops: VPNs write it as two halves, and IPv6's Internet is 2000::/3. Where the kernel
/// does not say, each interface has one.
[[nodiscard]] HostNetwork host_network(unsigned interface);

/// TCP and UDP lose so few of their ports that a host's own connections seldom have one of them.
inline constexpr unsigned kMostPorts = 1024;

/// Whether the frames that the rules take, or drop, are such that a host goes on without them. Each rule names one of:
/// - a VLAN other than 0, if `is_tagged` is not set;
/// - EtherTypes by which Linux reaches no network: not IP, ARP, tags, PPPoE, MPLS, MACsec, nor those of link control;
/// - SCTP;
/// - an IP address that is not `owned`, or those that have 24 bits of it (IPv6: 64) in common;
/// - destination ports of TCP or UDP, of each at most kMostPorts in all rules.
/// What else a rule names makes it take less. Rules that leave frames to the kernel are not counted.
[[nodiscard]] bool spares_host(const std::vector<PlacedRule>& rules, const HostNetwork& host);

}  // namespace pollux::xdp
