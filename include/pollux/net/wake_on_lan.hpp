// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/capability.hpp"

namespace pollux {

/// What makes a port wake a sleeping machine.
struct WakeEvents {
  bool magic = false;        ///< a magic packet with the port's address
  bool unicast = false;      ///< a frame to the port's address
  bool multicast = false;    ///< any multicast frame
  bool broadcast = false;    ///< any broadcast frame
  bool link_change = false;  ///< the link comes up. Not armed if it is up when the port is closed

  /// Whether any of them is set.
  [[nodiscard]] bool any() const noexcept { return magic || unicast || multicast || broadcast || link_change; }
  friend bool operator==(const WakeEvents&, const WakeEvents&) noexcept = default;
};

/// Capability (see capability.hpp): wake-on-LAN. The port arms its card when it is closed or suspended: the card then
/// asks for power (PME) at one of the events of Settings::wake. Whether the machine wakes depends on what comes after:
/// a reset of the card by the platform may end it, and the machine's firmware and the kernel must enable wake-up by the
/// card.
class POLLUX_API WakeOnLan {
 public:
  static constexpr CapabilityId kId{"wake"};

  virtual ~WakeOnLan() = default;
  /// The events that this port can be set to; none if its board does not wire it. Errors: bad_state (the port is
  /// closed or suspended), device_removed, timeout (the NVM).
  [[nodiscard]] virtual Result<WakeEvents> wake_support() = 0;
};

}  // namespace pollux
