// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

/// The commands of the control queue. VIRTIO 1.2 and 1.3, 5.1.6.5 "Control Virtqueue"; Linux,
/// include/uapi/linux/virtio_net.h. A request is a chain: the two bytes of ControlHeader and the data that follows,
/// which the device reads, and one byte of ControlStatus, which it writes.
namespace pollux::hw::virtio {

enum class ControlClass : std::uint8_t {
  rx = 0,              ///< CTRL_RX, and CTRL_RX_EXTRA for the commands from rx_all_unicast on
  mac = 1,             ///< the table: CTRL_RX; the address: CTRL_MAC_ADDR
  vlan = 2,            ///< CTRL_VLAN
  announce = 3,        ///< GUEST_ANNOUNCE
  mq = 4,              ///< MQ, RSS and HASH_REPORT, one command each
  guest_offloads = 5,  ///< CTRL_GUEST_OFFLOADS
  coalescing = 6,      ///< NOTF_COAL; VQ_NOTF_COAL for one queue
};

struct ControlHeader {
  ControlClass control_class{};
  std::uint8_t command = 0;
};
static_assert(sizeof(ControlHeader) == 2);

enum class ControlStatus : std::uint8_t { ok = 0, error = 1 };

/// Class rx. The data is one byte: 1 or 0.
namespace rx_command {
inline constexpr std::uint8_t kPromiscuous = 0;
inline constexpr std::uint8_t kAllMulticast = 1;
inline constexpr std::uint8_t kAllUnicast = 2;
inline constexpr std::uint8_t kNoMulticast = 3;
inline constexpr std::uint8_t kNoUnicast = 4;
inline constexpr std::uint8_t kNoBroadcast = 5;
}  // namespace rx_command

/// Class mac.
namespace mac_command {
/// Two tables, the unicast addresses first: a number of entries (le32), then six bytes for each.
inline constexpr std::uint8_t kTableSet = 0;
inline constexpr std::uint8_t kAddressSet = 1;  // six bytes
}  // namespace mac_command

/// Class vlan. The data is a VLAN's number (le16).
namespace vlan_command {
inline constexpr std::uint8_t kAdd = 0;
inline constexpr std::uint8_t kDelete = 1;
}  // namespace vlan_command

/// Class announce. No data.
namespace announce_command {
inline constexpr std::uint8_t kAcknowledge = 0;
}

/// Class mq.
namespace mq_command {
inline constexpr std::uint8_t kPairsSet = 0;  // le16: number of queue pairs in use
/// hash_types (le32), table mask (le16), unclassified queue (le16), a table of queues (le16, mask + 1 of them), the
/// number of transmit queues (le16), the key's length (u8) and the key. Queues are numbers of pairs.
inline constexpr std::uint8_t kRss = 1;
/// hash_types (le32), four reserved le16, the key's length (u8) and the key.
inline constexpr std::uint8_t kHash = 2;
}  // namespace mq_command

/// Class guest_offloads. The data is a set of feature bits (le64).
namespace guest_offloads_command {
inline constexpr std::uint8_t kSet = 0;
}

/// Class coalescing. A notification is sent after `max_packets` or `max_microseconds`, whichever comes first.
struct Coalescing {
  std::uint32_t max_packets = 0;
  std::uint32_t max_microseconds = 0;
};
static_assert(sizeof(Coalescing) == 8);
struct QueueCoalescing {
  std::uint16_t queue = 0;  ///< its index, as in QUEUE_SELECT
  std::uint16_t reserved = 0;
  Coalescing coalescing;
};
static_assert(sizeof(QueueCoalescing) == 12);
namespace coalescing_command {
inline constexpr std::uint8_t kTxSet = 0;     // Coalescing, for all transmit queues
inline constexpr std::uint8_t kRxSet = 1;     // Coalescing, for all receive queues
inline constexpr std::uint8_t kQueueSet = 2;  // QueueCoalescing
inline constexpr std::uint8_t kQueueGet = 3;  // QueueCoalescing: the device reads the queue and writes the rest
}  // namespace coalescing_command

}  // namespace pollux::hw::virtio
