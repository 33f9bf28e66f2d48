// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "pollux/mem/context.hpp"

namespace pollux::conformance {

/// What a port cannot do by nature, so that nobody expects it: the table is in pairs.cpp. All else every port does.
struct Traits {
  bool delivers = true;        ///< what one port sends the other receives
  bool both_ways = true;       ///< and the other way round
  bool by_file = false;        ///< the receiver sees what was sent before it was opened, and no more
  bool filters = true;         ///< by address
  bool promiscuous = true;     ///< can be made to receive frames for any destination
  bool all_multicast = true;   ///< can be made to receive every multicast frame; else groups are asked for
  bool hears_itself = false;   ///< what it sends to everybody comes back to it, too
  bool pushes_back = false;    ///< a receiver that does not poll makes tx_burst take part of a burst
  bool drops_when_dry = true;  ///< a frame that finds the pool dry is dropped under a name; else it waits
  bool hands_over = false;     ///< the receiver gets the sender's own mbufs, and needs none of its pool
  bool has_carrier = true;     ///< the link is down while the other port is not started
  bool holds_back = true;      ///< a frame that finds its only ring full waits for room
  std::size_t registers = 50;  ///< more than so many are in its register dump; 0: it has none
  bool needs_relay = false;    ///< the kernel has the other end, and the test carries frames between the two
  bool several_queues = true;  ///< each way
  bool checks_fill = true;     ///< start fails if the pool cannot fill the receive rings
};

/// Two ports that are joined, or one that stands alone.
struct Pair {
  std::string name;  ///< a test's suffix: letters, digits and '_'
  std::string left;  ///< URIs
  std::string right;
  Traits traits;
  /// Why it cannot be tried on this machine: its tests fail with that, unless the environment says to leave it out.
  std::optional<std::string> obstacle;
  /// Called with each new Context before a port is opened on it; empty where the library knows the ports by itself.
  std::function<void(Context&)> prepare = {};
};

/// Its name, for messages of a test.
std::ostream& operator<<(std::ostream& out, const Pair& pair);

/// All pairs that are built in, and the one of POLLUX_CONFORMANCE_PORTS ("A,B": that one alone).
[[nodiscard]] const std::vector<Pair>& pairs();
/// The first of these alone, whatever the environment says.
[[nodiscard]] std::vector<Pair> built_in_pairs();
/// What a pair of POLLUX_CONFORMANCE_PORTS can be, and none that is built in is.
[[nodiscard]] std::vector<Traits> traits_elsewhere();

}  // namespace pollux::conformance
