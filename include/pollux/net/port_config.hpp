// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pollux/mem/mempool.hpp"
#include "pollux/net/burst_mode.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/port_clock.hpp"

namespace pollux {

/// When a card fetches and writes back the descriptors of a queue, in descriptors.
struct QueueThresholds {
  std::uint8_t prefetch = 0;    ///< the card fetches more when it holds fewer than this
  std::uint8_t host = 0;        ///< but only if at least as many are in the ring
  std::uint8_t write_back = 0;  ///< the card writes done descriptors back in groups of this size

  [[nodiscard]] bool operator==(const QueueThresholds&) const = default;
};

/// The configuration of a receive queue.
struct RxQueueConfig {
  /// The pool of the queue; the port keeps it alive. Empty: the port creates a pool of its own (see Port::rx_pool) on
  /// the card's NUMA node, for all such queues. Its mbufs have 2,048 bytes after 128 bytes of headroom. It has
  ///   - one mbuf for each descriptor of these rings and those of the transmit queues,
  ///   - for caches 512 mbufs for each of these queues and 64 per transmit queue,
  ///   - 2,048 mbufs for the application and other ports
  /// (3,648 by default, 10 MiB in huge pages). It exists until the port is closed and all of its mbufs are free, also
  /// those sent by other ports.
  /// A pool that the application creates needs as many mbufs. A pool that several ports share needs the sum of their
  /// mbufs. With fewer, ports start, but frames are dropped as "rx_pool_empty" while transmit rings and caches hold the
  /// mbufs. Ports that forward to each other are faster with one pool (and one cache) for all: after transmission,
  /// mbufs of another pool are freed one by one.
  Mempool pool = {};
  /// A cache of that pool, used only by the thread that polls the queue. Absent: the queue keeps the one that it has,
  /// or has its own, until `RxQueue::use_cache`. For fast forwarding, use one cache for all queues that a thread polls.
  /// Port::settings leaves it out, so that a copy of the settings gives no other port the cache of a thread.
  MempoolCache cache = {};
  std::uint32_t ring = 0;  ///< descriptors, as PortLimits allow; 0: the nearest size to 512 that the port has
  /// Bytes: frames up to this length are copied to mbufs of `copy_pool`, and their buffers are used again at once. So
  /// small frames that a program keeps do not hold large buffers. 0: no frame is copied. If `copy_pool` is exhausted,
  /// frames are returned uncopied. Needs PortLimits::copy_break.
  std::uint32_t copy_break = 0;
  /// The pool of the copies, with a data_room of at least `copy_break`. Empty: the pool of the queue.
  Mempool copy_pool = {};
  /// If set, the card puts the headers of TCP, UDP and fragments over IPv4 and IPv6 into an mbuf of this pool, and what
  /// follows them into the next mbuf of the chain, which is of the pool of the queue. The Ethernet header and tags go
  /// with them. Of an IP fragment the header ends with that of IP. A frame that ends with its headers is the first mbuf
  /// alone. All other frames arrive unsplit, in mbufs of the pool of the queue; so do frames of NFS, and those whose
  /// headers are longer than the pool's data_room (rounded down to PortLimits::header_unit) or than
  /// PortLimits::max_header. The pool needs an mbuf for each descriptor and some for the application and caches. Such a
  /// queue has a burst of its own, slower than that of others. Empty: no frame is split. Needs
  /// PortLimits::max_header, and excludes copy_break and forward paths.
  Mempool header_pool = {};
  /// What happens to a frame that finds no free descriptor. true: the card drops and counts it (`rx_missed_errors`), so
  /// that it does not hold up other queues. false: it waits in the card's packet buffer, and so do all frames behind
  /// it, also those of other queues. nullopt: true if the port has several receive queues. While a port has virtual
  /// functions (VirtualFunctions), its card drops such frames in any case. Needs PortLimits::drop_enable.
  std::optional<bool> drop_enable = std::nullopt;
  std::optional<QueueThresholds> thresholds = std::nullopt;  ///< nullopt: the driver's, which suit polling

  [[nodiscard]] bool operator==(const RxQueueConfig&) const = default;
};

/// The configuration of a transmit queue.
struct TxQueueConfig {
  /// The cache to which sent mbufs are freed first, used only by the sending thread. Empty: the queue keeps the one
  /// that it has, or has its own or none, until `TxQueue::use_cache`. Port::settings leaves it out.
  MempoolCache cache = {};
  std::uint32_t ring = 0;                                    ///< as for a receive queue
  std::optional<QueueThresholds> thresholds = std::nullopt;  ///< nullopt: the driver's, which suit polling

  [[nodiscard]] bool operator==(const TxQueueConfig&) const = default;
};

/// The sizes of a card's packet buffers, in which frames wait between the wire and the rings, in bytes.
struct PacketBuffers {
  std::uint32_t receive = 0;   ///< 0: the size that the card has
  std::uint32_t transmit = 0;  ///< the same

  [[nodiscard]] bool operator==(const PacketBuffers&) const = default;
};

/// The sizes that a card's packet buffers may have.
struct PacketBufferLimits {
  std::uint32_t unit = 0;  ///< bytes: sizes are multiples of it
  /// Bounds for each of the two sizes.
  ///@{
  PacketBuffers min = {};
  PacketBuffers max = {};
  ///@}
};

/// The configuration in force of a receive queue.
struct EffectiveRxQueue {
  std::uint32_t ring = 0;          ///< descriptors
  std::uint32_t buffer_bytes = 0;  ///< most bytes of a received frame in one mbuf
  std::string pool = {};           ///< the pool's name
  bool given_cache = false;        ///< the configuration set its cache; `use_cache` may have set another one since
  std::uint32_t copy_break = 0;    ///< bytes
  std::uint32_t header_bytes = 0;  ///< most bytes of headers that are split from a frame; 0: none are
  bool drops = false;              ///< the card drops frames that find no free descriptor
  bool stopped = false;            ///< by Port::stop_queue

  [[nodiscard]] bool operator==(const EffectiveRxQueue&) const = default;
};

/// The configuration in force of a transmit queue.
struct EffectiveTxQueue {
  std::uint32_t ring = 0;    ///< descriptors
  bool given_cache = false;  ///< as for a receive queue
  bool stopped = false;      ///< by Port::stop_queue

  [[nodiscard]] bool operator==(const EffectiveTxQueue&) const = default;
};

/// What results from the settings: the sizes and modes that were chosen.
struct EffectiveConfig {
  std::vector<EffectiveRxQueue> rx = {};  ///< each receive queue, by index
  std::vector<EffectiveTxQueue> tx = {};  ///< each transmit queue, by index
  /// Never `best`; small rings and pools in several segments use `scalar` anyway.
  BurstMode burst_mode = BurstMode::scalar;

  [[nodiscard]] bool operator==(const EffectiveConfig&) const = default;
};

/// The supported values of RxQueueConfig::drop_enable.
enum class DropChoice : std::uint8_t {
  none,    ///< the port has no descriptors that could be missing
  always,  ///< only true: a queue that waited would hold up others' queues
  any,     ///< true and false
};

/// The limits of the card.
struct PortLimits {
  /// The most queues of each direction.
  ///@{
  std::uint16_t max_rx_queues = 0;
  std::uint16_t max_tx_queues = 0;
  ///@}
  std::uint32_t min_ring = 0;         ///< descriptors; this and `max_ring` are sizes that the port has
  std::uint32_t max_ring = 0;         ///< descriptors
  std::uint32_t ring_multiple = 0;    ///< descriptors: each ring has a multiple of it; 0: a power of two
  std::uint32_t min_mtu = 0;          ///< bytes
  std::uint32_t max_mtu = 0;          ///< bytes
  std::uint32_t max_tx_segments = 0;  ///< mbufs per frame; in a short ring two less than its descriptors
  std::uint32_t min_frame = 0;        ///< bytes without FCS; tx_burst rejects shorter frames
  std::uint32_t max_rx_segments = 0;  ///< mbufs for one received frame
  /// Bytes without FCS of the longest frame that the device may receive whatever the MTU, with keep_bad_frames where
  /// that is supported; 0: the MTU is the limit. The port rejects a receive ring that could not hold such a frame.
  std::uint32_t max_rx_frame = 0;
  std::uint32_t buffer_unit = 1;                 ///< bytes; the card uses a multiple of it in each receive buffer
  std::uint32_t max_buffer = ~std::uint32_t{0};  ///< bytes; the card uses at most as many of a receive buffer
  bool rings_hold_buffers = false;               ///< while the port is started, every receive descriptor holds an mbuf
  bool copy_break = false;                       ///< whether RxQueueConfig::copy_break is supported
  std::uint32_t header_unit = 1;                 ///< bytes; the card uses a multiple of it in each header buffer
  std::uint32_t max_header = 0;                  ///< bytes of a header buffer; 0: header_pool is rejected
  DropChoice drop_enable = DropChoice::none;     ///< which values of RxQueueConfig::drop_enable are supported
  std::uint32_t max_unicast = 0;                 ///< addresses besides the port's own; see Settings::unicast
  std::uint32_t max_multicast = 0;               ///< groups
  std::uint16_t max_pools = 0;                   ///< of Settings::pools; queue i of pool n is n + i * max_pools
  std::uint32_t rss_table = 0;                   ///< entries
  std::uint32_t rss_types = 0;                   ///< bits of RssTypes
  std::uint32_t max_tx_rate = 0;                 ///< of Settings::tx_rates, in Mb/s
  LinkModes link_modes = {};                     ///< of LinkControl
  PortClockLimits clock = {};                    ///< of PortClock
  std::optional<QueueThresholds> max_thresholds = std::nullopt;  ///< of any queue; nullopt: thresholds are rejected
  PacketBufferLimits packet_buffers = {};                        ///< of Settings::packet_buffers
};

/// The size nearest to `descriptors` of a ring that the port can have.
[[nodiscard]] POLLUX_API std::uint32_t nearest_ring(std::uint32_t descriptors, const PortLimits& limits) noexcept;

}  // namespace pollux
