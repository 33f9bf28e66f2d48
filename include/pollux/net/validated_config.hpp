// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/port_config.hpp"

namespace pollux {

/// The checked configuration of a receive queue.
struct POLLUX_API ValidatedRxQueue {
  std::uint32_t ring = 0;                             ///< descriptors
  std::uint32_t buffer_bytes = 0;                     ///< bytes used of a buffer, a multiple of PortLimits::buffer_unit
  std::shared_ptr<MempoolCore> pool = nullptr;        ///< not null when a driver gets it
  std::shared_ptr<MempoolCacheCore> cache = nullptr;  ///< of `pool`; null: the queue creates one
  std::uint32_t copy_break = 0;                       ///< bytes; 0: no frame is copied
  std::shared_ptr<MempoolCore> copy_pool = nullptr;   ///< null: `pool`
  std::shared_ptr<MempoolCore> header_pool = nullptr;  ///< null: headers are not split from frames
  std::uint32_t header_bytes = 0;                      ///< of a header buffer, a multiple of PortLimits::header_unit
  bool replicate_headers = false;                      ///< headers are copied, and frames stay whole
  bool drops = false;                                  ///< the card drops frames that find no free descriptor
  std::optional<QueueThresholds> thresholds = std::nullopt;  ///< nullopt: the driver's

  /// A handle to the pool.
  [[nodiscard]] Mempool mempool() const { return Mempool(pool); }
  [[nodiscard]] bool operator==(const ValidatedRxQueue&) const = default;
};

/// The checked configuration of a transmit queue.
struct POLLUX_API ValidatedTxQueue {
  std::uint32_t ring = 0;                                    ///< descriptors
  std::shared_ptr<MempoolCacheCore> cache = nullptr;         ///< null: the queue creates one or has none
  std::optional<QueueThresholds> thresholds = std::nullopt;  ///< nullopt: the driver's
  bool head_write_back = false;                              ///< the card reports its position instead of done bits

  [[nodiscard]] bool operator==(const ValidatedTxQueue&) const = default;
};

/// A checked configuration with all defaults filled in, as drivers get it.
struct POLLUX_API ValidatedConfig {
  std::vector<ValidatedRxQueue> rx = {};  ///< each receive queue, by index
  std::vector<ValidatedTxQueue> tx = {};  ///< each transmit queue, by index
  bool keep_fcs = false;
  bool keep_bad_frames = false;
  bool count_bytes = false;
  PacketBuffers packet_buffers = {};
  Duration tx_timeout{0};
  Duration rx_timeout{0};
  BurstMode burst_mode = BurstMode::best;
  /// Options of the pool that the port creates for queues without one, and that pool once it exists.
  std::optional<MempoolOptions> own_pool = std::nullopt;
  std::shared_ptr<MempoolCore> made_pool = nullptr;

  [[nodiscard]] std::uint16_t rx_queues() const noexcept { return static_cast<std::uint16_t>(rx.size()); }
  [[nodiscard]] std::uint16_t tx_queues() const noexcept { return static_cast<std::uint16_t>(tx.size()); }
  /// The options of the queue's existing or future pool.
  [[nodiscard]] const MempoolOptions& pool_options(const ValidatedRxQueue& queue) const;
  /// Number of receive queues that use that pool, and of its mbufs that their rings hold.
  [[nodiscard]] std::uint32_t queues_of(const MempoolCore* pool) const noexcept;
  [[nodiscard]] std::uint64_t descriptors_of(const MempoolCore* pool) const noexcept;
  [[nodiscard]] bool operator==(const ValidatedConfig&) const = default;
};

}  // namespace pollux
