// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "pollux/net/link.hpp"

namespace pollux {

/// What one pool of receive queues (VMDq) gets.
struct QueuePool {
  std::vector<MacAddress> addresses = {};  ///< frames to these, unicast or multicast
  std::vector<std::uint16_t> vlans = {};   ///< 1 to 4,094: of tagged frames only those of these VLANs
  bool untagged = true;      ///< frames without a tag, or with tag 0; false only if some pool names a VLAN
  bool broadcasts = true;    ///< besides what is sent to its addresses
  std::uint16_t queues = 1;  ///< 1 or 2 receive queues; RSS chooses between two

  [[nodiscard]] bool operator==(const QueuePool&) const = default;
};

/// The pools of a port (VMDq). The card chooses a frame's pool by its destination and VLAN. If any pool names a VLAN,
/// tagged frames reach only pools that name their VLAN. Settings::vlan_stripping applies to all pools. RSS chooses
/// between the queues of a pool that has two. While there is such a pool, an entry of RssConfig::table is 0 for the
/// pool's first queue and 1 for its second; one table serves all pools. Frames without a hash go to the first. Without
/// such a pool RSS chooses nothing until there are no pools. Queues between those of the pools receive nothing. Flow
/// rules and pools exclude each other. Copies, and frames from other pools, are not among the frames that the card
/// counts as good ones, so Stats::rx_missed_errors is a lower bound with replication or local_loopback. Source: Linux,
/// e1000_82575.h and igb_main.c (two queues: igb_setup_mrqc, igb_write_rss_indir_tbl, igb_cache_ring_register); QEMU,
/// igb_core.c, igb_receive_assign. Not tried on silicon.
/// Errors: invalid_argument (a queue of a pool that the port does not have, more pools than the card has, an address
/// twice, more addresses or VLANs than the card can hold, a number that is no VLAN; two queues while the RSS table
/// names others than 0 and 1, or RSS is off), not_supported (two queues, on a card whose pools have one), bad_state
/// (started; the VLAN filter is on; there are further addresses, flow rules or virtual functions).
struct QueuePoolsConfig {
  /// Queue `i` of pool `n`, receive and transmit alike, is queue n + i * PortLimits::max_pools. Empty: the queues
  /// belong to no pools.
  std::vector<QueuePool> pools = {};
  /// The pool of the port's own address, and, in promiscuous mode, of frames to addresses that no pool has. nullopt:
  /// none gets them.
  std::optional<std::uint16_t> default_pool = 0;
  /// Each pool that wants a broadcast or a multicast gets a copy. false: only one of them gets it, the default pool if
  /// that is one of them.
  bool replication = true;
  /// Frames that a pool's transmit queue sends to an address of another pool reach that pool, and do not leave the
  /// card.
  bool local_loopback = false;

  [[nodiscard]] bool operator==(const QueuePoolsConfig&) const = default;
};

}  // namespace pollux
