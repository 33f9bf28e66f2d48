// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/capability.hpp"

namespace pollux {

/// Where sent frames turn back to the port's own receive queues. None of them reaches the wire, and the link partner
/// has no link while the PHY loops.
enum class LoopbackMode : std::uint8_t {
  none,  ///< frames go to the wire
  mac,   ///< in the MAC; needs a link. Not every card has it, and none says so: frames then do not come back
  phy,   ///< in the PHY, at 1000 Mb/s. Needs no cable
};

/// Capability (see capability.hpp): loopback, for tests of a card. A port without it cannot loop. The setting stays in
/// force until the port is closed.
class POLLUX_API Loopback {
 public:
  static constexpr CapabilityId kId{"loopback"};

  virtual ~Loopback() = default;
  /// Takes effect when the port is started. Errors: bad_state (the port is started or closed).
  [[nodiscard]] virtual Result<void> set_loopback(LoopbackMode mode) = 0;
  /// As set.
  [[nodiscard]] virtual LoopbackMode loopback() const = 0;
};

}  // namespace pollux
