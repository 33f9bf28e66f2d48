// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/link.hpp"

namespace pollux {

enum class PortEventKind : std::uint8_t {
  link_up,    ///< the link of a started port is up, or is up with another speed or duplex mode
  link_down,  ///< the link went down, or the port was stopped
  removed,    ///< the device was removed, or the host asks for it back; the port is `failed`
  error,      ///< the device does not work any more; the port is `failed`
  /// A transmit queue had frames and sent none for PortConfig::tx_timeout. The port was reset, works again with all
  /// settings, and has no link until it has negotiated one. Frames that were in its rings are lost and counted.
  tx_timeout,
  /// For PortConfig::rx_timeout a receive queue had free descriptors and took none of the frames that arrived. If all
  /// queues stand, the first one is named: any of them may hold up the others. The port was not reset, since a restart
  /// of the queue (Port::restart_rx) may help; stop and start reset the card. Reported again while it lasts.
  rx_timeout,
};

/// What happened to a port.
struct PortEvent {
  PortEventKind kind = PortEventKind::link_down;
  Link link;                ///< of link_up; down for all others
  Error error;              ///< of removed and error: why the port has failed, and how to recover
  std::uint16_t queue = 0;  ///< of tx_timeout: the transmit queue; of rx_timeout: the receive queue
};

/// "link up, 1000 Mb/s, full duplex", "link down", "removed: ...", "error: ...", "transmit queue 0 sent nothing; the
/// port was reset" or "receive queue 0 takes none of the frames that arrive"
[[nodiscard]] POLLUX_API std::string to_string(const PortEvent& event);

/// See Port::on_event. An exception that leaves it leaves the call in which the handler runs, when that has done its
/// work; a control thread logs it.
using PortEventHandler = std::function<void(const PortEvent&)>;

}  // namespace pollux
