// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/settings.hpp"

namespace pollux {

/// The checked configuration of a receive queue.
struct POLLUX_API PlacedRxQueue {
  std::uint32_t ring = 0;                             ///< descriptors
  std::uint32_t buffer_bytes = 0;                     ///< bytes used of a buffer, a multiple of PortLimits::buffer_unit
  std::shared_ptr<MempoolCore> pool = nullptr;        ///< not null when a driver gets it
  std::shared_ptr<MempoolCacheCore> cache = nullptr;  ///< of `pool`; null: the queue creates one
  std::uint32_t copy_break = 0;                       ///< bytes; 0: no frame is copied
  std::shared_ptr<MempoolCore> copy_pool = nullptr;   ///< null: `pool`
  std::shared_ptr<MempoolCore> header_pool = nullptr;  ///< null: headers are not split from frames
  std::uint32_t header_bytes = 0;                      ///< of a header buffer, a multiple of PortLimits::header_unit
  bool drops = false;                                  ///< the card drops frames that find no free descriptor
  std::optional<QueueThresholds> thresholds = std::nullopt;  ///< nullopt: the driver's

  /// A handle to the pool.
  [[nodiscard]] Mempool mempool() const { return Mempool(pool); }
};

/// The checked configuration of a transmit queue.
struct POLLUX_API PlacedTxQueue {
  std::uint32_t ring = 0;                                    ///< descriptors
  std::shared_ptr<MempoolCacheCore> cache = nullptr;         ///< null: the queue creates one or has none
  std::optional<QueueThresholds> thresholds = std::nullopt;  ///< nullopt: the driver's
};

/// A checked configuration with all defaults filled in, as drivers get it.
struct POLLUX_API PlacedQueues {
  std::vector<PlacedRxQueue> rx = {};  ///< each receive queue, by index
  std::vector<PlacedTxQueue> tx = {};  ///< each transmit queue, by index
  /// Options of the pool that the port creates for queues without one, and that pool once it exists.
  std::optional<MempoolOptions> own_pool = std::nullopt;
  std::shared_ptr<MempoolCore> made_pool = nullptr;  ///< see `own_pool`

  /// Number of queues.
  ///@{
  [[nodiscard]] std::uint16_t rx_queues() const noexcept { return static_cast<std::uint16_t>(rx.size()); }
  [[nodiscard]] std::uint16_t tx_queues() const noexcept { return static_cast<std::uint16_t>(tx.size()); }
  ///@}
  /// The options of the queue's existing or future pool.
  [[nodiscard]] const MempoolOptions& pool_options(const PlacedRxQueue& queue) const;
  /// Number of receive queues that use that pool, and of its mbufs that their rings hold.
  [[nodiscard]] std::uint32_t queues_of(const MempoolCore* pool) const noexcept;
  /// Number of descriptors of those queues together.
  [[nodiscard]] std::uint64_t descriptors_of(const MempoolCore* pool) const noexcept;
};

/// The filters that a card has for addresses, VLANs and rules, which keep them as long as they are set: the driver's
/// choice.
struct FilterSlots {
  /// By the number of the card's filter.
  ///@{
  std::map<std::uint16_t, MacAddress> addresses = {};
  std::map<std::uint16_t, std::uint16_t> vlans = {};
  ///@}
  std::map<FlowRuleId, std::uint32_t> rules = {};  ///< the filter, of those of the rule's kind
};

/// The settings of a port, and what the port and its card have for them, which no program sees.
struct PlacedSettings : Settings {
  PlacedQueues queues = {};  ///< of `rx` and `tx`, with the defaults filled in; none until the port has queues
  FilterSlots slots = {};    ///< also of virtual functions
};

/// A flow rule of PlacedSettings, and its filter.
struct PlacedRule : InstalledRule {
  std::optional<std::uint32_t> slot = {};  ///< see FilterSlots

  [[nodiscard]] bool operator==(const PlacedRule&) const = default;
};
/// The rules in the order of their ids.
[[nodiscard]] POLLUX_API std::vector<PlacedRule> placed_rules(const PlacedSettings& settings);
/// Keeps the filters of these rules.
POLLUX_API void keep_slots(PlacedSettings& settings, const std::vector<PlacedRule>& rules);

}  // namespace pollux
