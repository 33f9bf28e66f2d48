// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hw/vmware/vmxnet3/registers.hpp"

/// The memory that driver and device share, little-endian. Linux, drivers/net/vmxnet3, vmxnet3_defs.h and upt1_defs.h.
namespace pollux::hw::vmxnet3 {

inline constexpr std::uint32_t kMagic = 3133079265;
inline constexpr std::uint32_t kMaxMtu = 9000;
inline constexpr std::uint32_t kGuest64Linux = 2 | 1 << 2;  ///< such a guest takes frames in several buffers

/// MiscConf::features.
namespace feature {
inline constexpr std::uint64_t kRxChecksum = 1;
inline constexpr std::uint64_t kRss = 2;
inline constexpr std::uint64_t kRxVlan = 4;
inline constexpr std::uint64_t kLro = 8;
}  // namespace feature

struct MiscConf {
  std::uint32_t driver_version;
  std::uint32_t guest;
  std::uint32_t revisions;     ///< that the driver knows, as VRRS
  std::uint32_t upt_versions;  ///< as UVRS
  std::uint64_t features;
  std::uint64_t driver_data;  ///< an address for the host's debuggers
  std::uint64_t queues;       ///< address of TxQueueShared for each transmit queue, then RxQueueShared
  std::uint32_t driver_data_bytes;
  std::uint32_t queues_bytes;
  std::uint32_t mtu;
  std::uint16_t max_rx_pieces;
  std::uint8_t tx_queues;
  std::uint8_t rx_queues;
  std::array<std::uint32_t, 4> reserved;
};
static_assert(sizeof(MiscConf) == 72);

struct InterruptConf {
  static constexpr std::uint32_t kDisableAll = 1;
  std::uint8_t auto_mask;  ///< an interrupt masks its vector
  std::uint8_t vectors;    ///< none of those below may be higher
  std::uint8_t event_vector;
  std::array<std::uint8_t, kMaxVectors> moderation;
  std::uint32_t control;
  std::array<std::uint32_t, 2> reserved;
};
static_assert(sizeof(InterruptConf) == 40);

struct FilterConf {
  static constexpr std::uint32_t kUnicast = 1, kMulticast = 2, kBroadcast = 4, kAllMulticast = 8, kPromiscuous = 16;
  std::uint32_t mode;
  std::uint16_t multicast_bytes;
  std::uint16_t reserved;
  std::uint64_t multicast;  ///< address of the groups, six bytes each
  std::array<std::uint32_t, 128> vlans;
};
static_assert(sizeof(FilterConf) == 528);

struct AreaConf {
  std::uint32_t version;
  std::uint32_t bytes;
  std::uint64_t address;
};

struct DriverShared {
  std::uint32_t magic;
  std::uint32_t reserved;
  MiscConf misc;
  InterruptConf interrupts;
  FilterConf filter;
  AreaConf rss;
  AreaConf wake;
  AreaConf plugin;
  std::uint32_t events;  ///< event
  std::array<std::uint32_t, 5> command;
};
static_assert(sizeof(DriverShared) == 720 && offsetof(DriverShared, events) == 696);

/// DriverShared::events.
namespace event {
inline constexpr std::uint32_t kRxQueueError = 1;
inline constexpr std::uint32_t kTxQueueError = 2;
inline constexpr std::uint32_t kLink = 4;
inline constexpr std::uint32_t kImplementation = 8;  ///< the device wants to change over to UPT, or back
}  // namespace event

struct QueueStatus {
  std::uint8_t stopped;
  std::array<std::uint8_t, 3> reserved;
  std::uint32_t error;
};

struct TxStats {
  std::uint64_t tso_packets, tso_bytes;
  std::uint64_t unicast_packets, unicast_bytes, multicast_packets, multicast_bytes, broadcast_packets, broadcast_bytes;
  std::uint64_t errors, discards;
};
struct RxStats {
  std::uint64_t lro_packets, lro_bytes;
  std::uint64_t unicast_packets, unicast_bytes, multicast_packets, multicast_bytes, broadcast_packets, broadcast_bytes;
  std::uint64_t out_of_buffers, errors;
};

struct TxQueueShared {
  std::uint32_t deferred;
  std::uint32_t threshold;
  std::uint64_t reserved1;
  std::uint64_t ring, data_ring, completions, driver_data, reserved2;
  std::uint32_t ring_size, data_ring_size, completions_size, driver_data_bytes;
  std::uint8_t vector;
  std::array<std::uint8_t, 7> reserved3;
  QueueStatus status;
  TxStats stats;
  std::array<std::uint8_t, 88> reserved4;
};
struct RxQueueShared {
  std::uint8_t wants_producer;  ///< RXPROD is to be written
  std::array<std::uint8_t, 7> reserved1;
  std::uint64_t reserved2;
  std::array<std::uint64_t, 2> ring;
  std::uint64_t completions, driver_data, data_ring;
  std::array<std::uint32_t, 2> ring_size;
  std::uint32_t completions_size, driver_data_bytes;
  std::uint8_t vector;
  std::array<std::uint8_t, 7> reserved3;
  QueueStatus status;
  RxStats stats;
  std::array<std::uint8_t, 88> reserved4;
};
static_assert(sizeof(TxQueueShared) == 256 && sizeof(RxQueueShared) == 256);

struct RssConf {
  static constexpr std::uint16_t kIpv4 = 1, kTcpIpv4 = 2, kIpv6 = 4, kTcpIpv6 = 8;  ///< types
  static constexpr std::uint16_t kToeplitz = 1;
  static constexpr std::uint16_t kTable = 128;
  std::uint16_t types;
  std::uint16_t function;
  std::uint16_t key_bytes;
  std::uint16_t entries;
  std::array<std::uint8_t, 40> key;
  std::array<std::uint8_t, kTable> table;
};
static_assert(sizeof(RssConf) == 176);

}  // namespace pollux::hw::vmxnet3
