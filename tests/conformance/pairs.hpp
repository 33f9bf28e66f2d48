// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "pollux/mem/context.hpp"
#include "pollux/net/loopback.hpp"

namespace pollux::conformance {

/// Capabilities in which pairs of ports differ; pairs.cpp has the table. Every port has to do everything else.
struct Traits {
  bool delivers = true;                  ///< the right port receives what the left port sends
  bool bidirectional = true;             ///< the left port also receives what the right port sends
  bool by_file = false;                  ///< the receiver gets only frames that were sent before it was opened
  bool filters = true;                   ///< filters frames by destination address
  bool promiscuous = true;               ///< can be made to receive frames for any destination
  bool all_multicast = true;             ///< has an all-multicast mode; else the test adds multicast groups
  bool receives_own_broadcasts = false;  ///< receives its own broadcasts
  bool has_backpressure = false;         ///< if the receiver does not poll, tx_burst accepts only part of a burst
  bool drops_when_exhausted = true;      ///< drops and counts frames while the pool is exhausted; else frames wait
  bool is_zero_copy = false;             ///< the receiver gets the sender's mbufs and needs no mbufs of its pool
  bool has_carrier = true;               ///< the link is down while the other port is not started
  bool waits_when_full = true;           ///< a frame waits if the receive ring is full
  std::size_t registers = 50;            ///< its register dump has more registers than this; 0: no register dump
  bool needs_relay = false;              ///< the test relays frames between the kernel's ends of the two ports
  bool several_queues = true;            ///< has four queues or more in each direction
  bool two_queues = false;               ///< has two queues in each direction
  bool restarts_receive = true;          ///< restarts a receive queue while the port runs
  bool restarts_one_queue = true;        ///< while frames of the others stay in their rings
  bool checks_fill = true;               ///< start fails if the pool cannot fill the receive rings
  bool has_rss = false;                  ///< spreads frames over receive queues as the program says
  bool ignores_rss = false;              ///< has the setting, but its device receives all on queue 0
  bool repeats_messages = false;         ///< its card sends a message again, so that a thread may wake for nothing
  bool card_receive = true;              ///< has the receive settings of an 82576's physical function
  bool pools = true;                     ///< if so, also pools
  bool pools_of_two = true;              ///< which may have two queues each, or say that they may not
  bool pools_exchange = true;            ///< which send to each other
  bool packet_buffers = true;            ///< if so, sizes of packet buffers
  std::uint16_t queues = 16;             ///< if so, as many queues in each direction
  double clock_deviation = 1e8;          ///< in ppb, that its clock can have
  bool forward_paths = false;            ///< moves frames between its own queues from ring to ring
  bool udp_segments = false;             ///< segments UDP packets into UDP packets
  bool own_fcs = false;                  ///< sends a frame's own check sequence, which its receiver checks
  bool bad_checksums = true;             ///< tells a wrong checksum from one that nobody looked at
  bool good_checksums = true;            ///< checks what it receives, if it reports checksums at all
  LoopbackMode loopback = LoopbackMode::none;  ///< if set, there is one port, which is also the right one

  [[nodiscard]] constexpr bool two_ports() const { return loopback == LoopbackMode::none; }
};

/// Two connected ports, or one port whose frames turn back to it.
struct Pair {
  std::string name;   ///< a test's suffix: letters, digits and '_'
  std::string left;   ///< URIs
  std::string right;  ///< empty if there is one port
  Traits traits;
  /// If set, the reason why this machine cannot test the pair. Its tests then fail with this text, unless
  /// POLLUX_CONFORMANCE_SKIP names the pair.
  std::optional<std::string> obstacle;
  /// Called with each new Context before a port is opened on it; empty if the library has the ports' driver.
  std::function<void(Context&)> prepare = {};
};

/// Prints its name, for test messages.
std::ostream& operator<<(std::ostream& out, const Pair& pair);

/// All built-in pairs, or only the pair of POLLUX_CONFORMANCE_PORTS ("A,B") if that is set. With
/// POLLUX_CONFORMANCE_LOOPBACK ("phy" or "mac") it is one port.
[[nodiscard]] const std::vector<Pair>& pairs();
/// All built-in pairs, independent of the environment.
[[nodiscard]] std::vector<Pair> built_in_pairs();
/// The traits that only a pair of POLLUX_CONFORMANCE_PORTS can have.
[[nodiscard]] std::vector<Traits> traits_of_given_pairs();

}  // namespace pollux::conformance
