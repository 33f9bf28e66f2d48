// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/capability.hpp"
#include "pollux/net/link.hpp"

namespace pollux {

/// Capability (see capability.hpp): which multicast groups a port receives besides broadcasts. The setting stays in
/// force, through stops and starts, until the port is closed.
class POLLUX_API MulticastFilter {
 public:
  static constexpr CapabilityId kId = capability_id("pollux.MulticastFilter.1");

  virtual ~MulticastFilter() = default;
  /// Replaces the requested groups; an empty list receives none. The filter may let other groups pass, too.
  /// Errors: invalid_argument (not a multicast address, or more than the card can hold), bad_state (closed),
  /// device_removed, timeout, and not_supported if the owner of the card rejects the request.
  [[nodiscard]] virtual Result<void> set_multicast(std::span<const MacAddress> groups) = 0;
};

/// Capability (see capability.hpp): which VLANs a port receives. The setting stays in force, through stops and starts,
/// until the port is closed.
class POLLUX_API VlanFilter {
 public:
  static constexpr CapabilityId kId = capability_id("pollux.VlanFilter.1");

  virtual ~VlanFilter() = default;
  /// `vlan`: 1 to 4,094.
  /// Errors: invalid_argument, bad_state (closed), device_removed, timeout, and not_supported if the owner of the card
  /// rejects the request.
  [[nodiscard]] virtual Result<void> set_vlan(std::uint16_t vlan, bool receive) = 0;
};

}  // namespace pollux
