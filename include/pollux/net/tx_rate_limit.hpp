// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/capability.hpp"

namespace pollux {

/// Capability (see capability.hpp): limits the rate of transmit queues, and of pools of them (QueuePools). Frames wait
/// in the queue's ring. The limits stay in force, through stops, starts and changes of the link's speed, until the port
/// is closed. Source: Linux igb, igb_main.c, igb_set_vf_rate_limit (queue n belongs to virtual function n); no silicon
/// has been measured.
class POLLUX_API TxRateLimit {
 public:
  static constexpr CapabilityId kId{"tx_rate_limit"};

  virtual ~TxRateLimit() = default;
  /// `megabits`: of the wire, per second, with preambles and gaps between frames; at most the speed of the fastest
  /// link. 0: no limit. A limit above the speed of the current link has no effect. It takes effect at the next
  /// service, or `Port::wait_for_link`, after the link is up, and at once from then on.
  /// Errors: invalid_argument (no such queue, or more than the fastest link), bad_state (closed), device_removed.
  [[nodiscard]] virtual Result<void> set_tx_rate(std::uint16_t queue, std::uint32_t megabits) = 0;
  /// The limit of a queue; 0: none.
  [[nodiscard]] virtual std::uint32_t tx_rate(std::uint16_t queue) const = 0;

  /// Limits what a pool sends, as above. The card limits queues alone. So if the port has two transmit queues of the
  /// pool (QueuePools::queue_of), each is limited to half, also while the other one sends nothing. If such a queue has
  /// a limit of its own, the lower one holds. `megabits`: as above. The limit ends when the pool does. Errors:
  /// invalid_argument (no such pool, or more than the fastest link), bad_state (closed), device_removed.
  [[nodiscard]] virtual Result<void> set_pool_tx_rate(std::uint16_t pool, std::uint32_t megabits) = 0;
  /// The limit of a pool; 0: none.
  [[nodiscard]] virtual std::uint32_t pool_tx_rate(std::uint16_t pool) const = 0;
};

}  // namespace pollux
