// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "pollux/mem/mempool.hpp"
#include "pollux/net/burst_mode.hpp"
#include "pollux/net/link.hpp"

namespace pollux {

/// The configuration of a receive queue.
struct RxQueueConfig {
  /// The pool of the queue; the port keeps it alive. nullptr in PortConfig::rx: the port creates a pool of its own (see
  /// Port::rx_pool) on the card's NUMA node. Its mbufs have 2,048 bytes after 128 bytes of headroom. It has
  ///   - one mbuf for each descriptor of the rings, receive and transmit,
  ///   - for caches 512 mbufs per receive queue and 64 per transmit queue,
  ///   - 2,048 mbufs for the application and other ports
  /// (3,648 by default, 10 MiB in huge pages). It exists until the port is closed and all of its mbufs are free, also
  /// those sent by other ports. nullptr in an override: the pool of the other queues.
  /// A pool that the application creates needs as many mbufs. A pool that several ports share needs the sum of their
  /// mbufs. With fewer, ports start, but frames are dropped as "rx_pool_empty" while transmit rings and caches hold the
  /// mbufs. Ports that forward to each other are faster with one pool (and one cache) for all: after transmission,
  /// mbufs of another pool are freed one by one.
  const Mempool* pool = nullptr;
  /// A cache of that pool, used only by the thread that polls the queue. nullptr: the queue has its own until
  /// `RxQueue::use_cache`. For fast forwarding, use one cache for all queues that a thread polls.
  const MempoolCache* cache = nullptr;
  std::uint32_t ring = 512;  ///< descriptors, a power of two within PortLimits
};

/// The configuration of a transmit queue.
struct TxQueueConfig {
  /// The cache to which sent mbufs are freed first, used only by the sending thread. nullptr: the queue has its own or
  /// none until `TxQueue::use_cache`.
  const MempoolCache* cache = nullptr;
  std::uint32_t ring = 512;  ///< descriptors, a power of two within PortLimits
};

/// The configuration of a port. It is checked completely before the first register is written, so a rejected
/// configuration changes nothing.
struct PortConfig {
  RxQueueConfig rx = {};  ///< for every receive queue without an override
  TxQueueConfig tx = {};  ///< for every transmit queue without an override
  std::uint16_t rx_queues = 1;
  std::uint16_t tx_queues = 1;
  std::uint32_t mtu = 1500;    ///< bytes of an Ethernet payload, within PortLimits
  bool promiscuous = false;    ///< receive frames for any destination
  bool all_multicast = false;  ///< receive every multicast frame
  /// The instructions that bursts use. A mode that the processor does not support is rejected. Use other modes than
  /// `best` only for tests and measurements.
  BurstMode burst_mode = BurstMode::best;
  /// Overrides by queue index. An override replaces all of `rx` or `tx`: a field that it leaves out has the default
  /// value of the struct, not the value in `rx` or `tx`. The exception is `pool`: if it is left out, the queue uses the
  /// pool of `rx`.
  std::map<std::uint16_t, RxQueueConfig> rx_override = {};
  std::map<std::uint16_t, TxQueueConfig> tx_override = {};
};

/// The configuration in force of a receive queue.
struct EffectiveRxQueue {
  std::uint32_t ring = 0;          ///< descriptors
  std::uint32_t buffer_bytes = 0;  ///< most bytes of a received frame in one mbuf
  std::string pool = {};           ///< the pool's name
  bool given_cache = false;        ///< the configuration set its cache; `use_cache` may have set another one since

  [[nodiscard]] bool operator==(const EffectiveRxQueue&) const = default;
};

/// The configuration in force of a transmit queue.
struct EffectiveTxQueue {
  std::uint32_t ring = 0;    ///< descriptors
  bool given_cache = false;  ///< as for a receive queue

  [[nodiscard]] bool operator==(const EffectiveTxQueue&) const = default;
};

/// The configuration in force: the requested values, the defaults that were chosen, and later changes.
struct EffectiveConfig {
  std::vector<EffectiveRxQueue> rx = {};  ///< each receive queue, by index
  std::vector<EffectiveTxQueue> tx = {};  ///< each transmit queue, by index
  std::uint32_t mtu = 0;                  ///< bytes
  bool promiscuous = false;
  bool all_multicast = false;
  /// Never `best`; small rings and pools in several segments use `scalar` anyway.
  BurstMode burst_mode = BurstMode::scalar;

  [[nodiscard]] bool operator==(const EffectiveConfig&) const = default;
};

/// The limits of the card.
struct PortLimits {
  std::uint16_t max_rx_queues = 0;
  std::uint16_t max_tx_queues = 0;
  std::uint32_t min_ring = 0;  ///< descriptors
  std::uint32_t max_ring = 0;
  std::uint32_t min_mtu = 0;  ///< bytes
  std::uint32_t max_mtu = 0;
  std::uint32_t max_tx_segments = 0;             ///< mbufs per frame
  std::uint32_t min_frame = 0;                   ///< bytes without FCS; tx_burst rejects shorter frames
  std::uint32_t max_rx_segments = 0;             ///< mbufs for one received frame
  std::uint32_t buffer_unit = 1;                 ///< bytes; the card uses a multiple of it in each receive buffer
  std::uint32_t max_buffer = ~std::uint32_t{0};  ///< bytes; the card uses at most as many of a receive buffer
  bool promiscuous = true;                       ///< whether promiscuous mode is supported
  bool rings_hold_buffers = false;               ///< while the port is started, every receive descriptor holds an mbuf
};

enum class PortState {
  opened,      ///< the card is reset and its addresses are read; no queues yet
  configured,  ///< queues exist, DMA is off
  started,     ///< frames flow
  closed,      ///< the device is released; the port can only be destroyed
  failed,      ///< the card was removed or did not stop; only close is allowed
};

}  // namespace pollux
