// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "pollux/net/offload_limits.hpp"
#include "pollux/net/port_config.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "pollux/net/settings.hpp"
#include "pollux/net/stats.hpp"

namespace pollux {

/// Properties of a port that do not change while it is open.
struct PortInfo {
  std::string name;                               ///< the URI that opened it, without `set.` options
  std::string driver;                             ///< its name
  std::string card;                               ///< maker and name
  std::string backend;                            ///< "vfio", "sim"
  std::uint16_t index = 0;                        ///< index within the Context: Mbuf::port() of received frames
  int numa_node = -1;                             ///< of the card; -1: unknown, or a port without a card
  SettingSet supports = kCommonSettings;          ///< the settings that it has; a change of others is not_supported
  PortLimits limits;                              ///< what its settings may be
  OffloadLimits offloads{};                       ///< what frames may request and metadata may contain
  MissedCount missed_count = MissedCount::exact;  ///< how exact Stats::rx_missed_errors is
  /// The types that RxMetadata::packet_type may report of received frames, besides the empty one. Refers to memory that
  /// the driver's code owns. Empty: the port recognises no headers (packet::parse does).
  std::span<const PacketType> packet_types = {};
};

}  // namespace pollux
