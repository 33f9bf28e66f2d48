// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <memory>
#include <mutex>

#include "pollux/base/error.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/port_events.hpp"

namespace pollux {

/// The events of a port that its handler has not seen yet. What is noted under the port's lock is delivered without
/// it, so that the handler may call the port.
/// Thread rule: any thread.
class PortEventQueue {
 public:
  /// Replaces the handler, or removes it if it is empty. Events that the old one has not seen are dropped, and the new
  /// one starts with the link down. Waits while another thread runs the old handler.
  void set_handler(PortEventHandler handler);
  [[nodiscard]] bool has_handler();

  /// Adds an event if `now` differs from the link that was noted last.
  void note_link(const Link& now);
  /// `kind`: tx_timeout or rx_timeout.
  void note_timeout(PortEventKind kind, std::uint16_t queue);
  /// Adds an event once for each handler.
  void note_failure(const Error& why);
  /// Calls the handler with each event, in order. Call it without the port's lock. Does nothing in the handler: the
  /// call that runs it goes on with the events that it has caused.
  void deliver();

 private:
  std::recursive_mutex delivery_;  // held while the handler runs, which may call the port
  bool is_delivering_ = false;     // guarded by it
  std::mutex mutex_;               // of all below
  std::shared_ptr<const PortEventHandler> handler_;
  std::deque<PortEvent> events_;
  Link link_;
  bool failed_ = false;
};

}  // namespace pollux
