// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/net/capability.hpp"

namespace pollux {

/// Capability (see capability.hpp) of a driver, for Port's watchdog: whether a receive queue still takes frames.
/// Applications do not need it; PortConfig::rx_timeout is the setting.
class POLLUX_API ReceiveWatch {
 public:
  static constexpr CapabilityId kId{"receive_watch"};

  virtual ~ReceiveWatch() = default;
  /// Looks at all receive queues of a started port, as seldom or often as the service runs. Returns a queue that has
  /// free descriptors and has taken no frame for `limit`, although the card has counted frames for it meanwhile.
  [[nodiscard]] virtual std::optional<std::uint16_t> watch_receive(Duration limit) = 0;
};

}  // namespace pollux
