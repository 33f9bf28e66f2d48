// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/net/capability.hpp"

namespace pollux {

/// Capability (see capability.hpp) of a driver, for Port's watchdog: whether a transmit queue still sends. Applications
/// do not need it; Settings::tx_timeout is the setting.
class POLLUX_API TransmitWatch {
 public:
  static constexpr CapabilityId kId{"transmit_watch"};

  /// How a transmit queue gets on.
  enum class Progress : std::uint8_t {
    idle,     ///< nothing to send, or the port may not send: no link, or the link partner asks for a pause
    sends,    ///< frames wait, and the queue has moved on within the limit
    stalled,  ///< frames wait, and for the limit none was sent
  };
  /// What `watch` found.
  struct Report {
    Progress progress = Progress::idle;  ///< `stalled` if any queue does
    std::uint16_t queue = 0;             ///< of `stalled`
  };

  virtual ~TransmitWatch() = default;
  /// Looks at all transmit queues of a started port, as seldom or often as the service runs.
  [[nodiscard]] virtual Report watch_transmit(Duration limit) = 0;
};

/// Capability (see capability.hpp) of a driver, for Port's watchdog: whether a receive queue still takes frames.
/// Applications do not need it; Settings::rx_timeout is the setting.
class POLLUX_API ReceiveWatch {
 public:
  static constexpr CapabilityId kId{"receive_watch"};

  virtual ~ReceiveWatch() = default;
  /// Looks at all receive queues of a started port, as seldom or often as the service runs. Returns a queue that has
  /// free descriptors and has taken no frame for `limit`, although the card has counted frames for it meanwhile.
  [[nodiscard]] virtual std::optional<std::uint16_t> watch_receive(Duration limit) = 0;
};

}  // namespace pollux
