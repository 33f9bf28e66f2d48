// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/device/register.hpp"

/// The network device: its queues, its configuration, and the header of a frame. VIRTIO 1.2 and 1.3, 5.1 "Network
/// Device"; Linux, include/uapi/linux/virtio_net.h. All fields are little-endian.
namespace pollux::hw::virtio {

/// 5.1.2 "Virtqueues": a receive and a transmit queue for each pair, then the control queue, after the most pairs that
/// the device has with MQ or RSS, else after one.
[[nodiscard]] constexpr std::uint16_t rx_queue_index(std::uint32_t pair) noexcept {
  return static_cast<std::uint16_t>(2 * pair);
}
[[nodiscard]] constexpr std::uint16_t tx_queue_index(std::uint32_t pair) noexcept {
  return static_cast<std::uint16_t>(2 * pair + 1);
}
[[nodiscard]] constexpr std::uint16_t control_queue_index(std::uint32_t max_pairs) noexcept {
  return static_cast<std::uint16_t>(2 * max_pairs);
}
inline constexpr std::uint32_t kMaxQueuePairs = 0x8000;

/// 5.1.4 "Device configuration layout". A field exists with the features that are named.
struct MAC : Register8<MAC, 0x00, Access::ro, Stride{1, 6}> {};  ///< MAC
struct NET_STATUS : Register16<NET_STATUS, 0x06, Access::ro> {   ///< STATUS
  static constexpr Bit LINK_UP{0}, ANNOUNCE{1};
  POLLUX_FIELDS(LINK_UP, ANNOUNCE);
};
struct MAX_VIRTQUEUE_PAIRS : Register16<MAX_VIRTQUEUE_PAIRS, 0x08, Access::ro> {};  ///< MQ or RSS
struct MTU : Register16<MTU, 0x0A, Access::ro> {};                                  ///< MTU
struct SPEED : Register<SPEED, 0x0C, Access::ro> {};   ///< SPEED_DUPLEX: Mb/s, 0 to 0x7FFFFFFF; else unknown
struct DUPLEX : Register8<DUPLEX, 0x10, Access::ro> {  ///< SPEED_DUPLEX: any other value is unknown
  static constexpr Field VALUE{0, 8};
  static constexpr Choice HALF{VALUE, 0}, FULL{VALUE, 1};
  POLLUX_FIELDS(VALUE);
};
struct RSS_MAX_KEY_SIZE : Register8<RSS_MAX_KEY_SIZE, 0x11, Access::ro> {};  ///< RSS or HASH_REPORT: bytes, 40 or more
struct RSS_MAX_TABLE : Register16<RSS_MAX_TABLE, 0x12, Access::ro> {};       ///< RSS: entries, 128 or more
struct SUPPORTED_HASH_TYPES : Register<SUPPORTED_HASH_TYPES, 0x14, Access::ro> {};  ///< RSS or HASH_REPORT

inline constexpr std::uint32_t kNetConfigBytes = 0x18;

/// Access to the device's configuration. Fields that do not exist may read all ones, so a removed device is detected by
/// CommonRegisters.
using NetRegisters = RegisterWindow<NET_STATUS>;

inline constexpr auto kNetRegisters = POLLUX_REGISTERS("network", MAC, NET_STATUS, MAX_VIRTQUEUE_PAIRS, MTU, SPEED,
                                                       DUPLEX, RSS_MAX_KEY_SIZE, RSS_MAX_TABLE, SUPPORTED_HASH_TYPES);

/// What precedes each frame in its buffers: 5.1.6 "Device Operation", struct virtio_net_hdr. Its first ten bytes are
/// those of pollux::VirtioNetHeader, which has the values of `flags` and `gso_type`.
struct NetHeader {
  std::uint8_t flags = 0;
  std::uint8_t gso_type = 0;
  std::uint16_t header_length = 0;
  std::uint16_t gso_size = 0;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;
  std::uint16_t num_buffers = 0;  ///< of a received frame; 1 without MRG_RXBUF
};
static_assert(sizeof(NetHeader) == 12);

/// The same with HASH_REPORT.
struct NetHeaderWithHash {
  NetHeader header;
  std::uint32_t hash_value = 0;
  std::uint16_t hash_report = 0;  ///< HashReport
  std::uint16_t reserved = 0;
};
static_assert(sizeof(NetHeaderWithHash) == 20);

/// Hash types, for SUPPORTED_HASH_TYPES and commands: "Hash calculation for incoming packets" in 5.1.6. The report of
/// type 1 << n is n + 1; 0 means that no hash was computed.
namespace hash_type {
inline constexpr std::uint32_t kIpv4 = 1U << 0;
inline constexpr std::uint32_t kTcpv4 = 1U << 1;
inline constexpr std::uint32_t kUdpv4 = 1U << 2;
inline constexpr std::uint32_t kIpv6 = 1U << 3;
inline constexpr std::uint32_t kTcpv6 = 1U << 4;
inline constexpr std::uint32_t kUdpv6 = 1U << 5;
inline constexpr std::uint32_t kIpv6Ex = 1U << 6;
inline constexpr std::uint32_t kTcpv6Ex = 1U << 7;
inline constexpr std::uint32_t kUdpv6Ex = 1U << 8;
}  // namespace hash_type
inline constexpr std::uint16_t kMaxHashReport = 9;

/// The least that every device has that hashes.
inline constexpr std::uint32_t kRssKeyBytes = 40;
inline constexpr std::uint32_t kRssTableEntries = 128;

}  // namespace pollux::hw::virtio
