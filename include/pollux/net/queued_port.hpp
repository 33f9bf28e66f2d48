// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/port_driver.hpp"
#include "pollux/net/queue_driver.hpp"
#include "pollux/net/rx_filter.hpp"

namespace pollux {

/// The part of a driver that handles its queues: it configures, opens, closes, restarts and counts them. A driver
/// derives from it, owns the queues, and adds the control of its card, or where its frames go.
/// Thread rule: as PortDriver.
class POLLUX_API QueuedPort : public PortDriver, private QueueRestart {
 public:
  /// See PortDriver.
  ///@{
  [[nodiscard]] const PortInfo& info() const final { return info_; }

  [[nodiscard]] Result<void> configure(const PlacedSettings& settings) override;
  void open_queues() noexcept override;
  [[nodiscard]] Result<void> close_queues(Duration limit) final;
  [[nodiscard]] QueueRestart* queue_restart() noexcept final { return this; }
  ///@}

  /// What the queues have counted: frames of bursts, drops by reason, each queue's frames and drops; and what has
  /// arrived and was sent, of a card that does not count that itself. A driver adds the card's counters.
  [[nodiscard]] Stats stats() override;
  void append_counters(std::vector<Counter>& /*counters*/) override {}
  void retire() noexcept override;

 protected:
  /// Reasons for which the queues drop frames. Those of TxQueueDriver::reject are always reported, and others once they
  /// have counted a frame.
  struct Drops {
    std::span<const RxDrop> rx = {};  ///< of the receive queues
    std::span<const TxDrop> tx = {};  ///< of the transmit queues
  };

  /// `info` and what `drops` refers to may not change later.
  QueuedPort(std::shared_ptr<ContextState> context, PortInfo info, Drops drops);

  /// The next queue: all that the limits allow, in the driver's constructor. They exist as long as the driver.
  ///@{
  void add(RxQueueDriver& queue);
  void add(TxQueueDriver& queue);
  ///@}

  /// The Context's state, which the port keeps alive.
  [[nodiscard]] const std::shared_ptr<ContextState>& context() const noexcept { return context_; }
  /// The configuration of the queues in force.
  [[nodiscard]] const PlacedQueues& config() const noexcept { return settings().queues; }
  /// Sets up a queue as `config` says. Called with the queue closed, by `configure` and when a queue is restarted.
  virtual void set_up(QueueId queue) noexcept;
  /// The first queues are in use from now on.
  void use_queues(const PlacedQueues& config) noexcept;

  // The steps of a restart: see QueueRestart. The defaults are for queues whose frames software moves.
  [[nodiscard]] Result<void> prepare(QueueId queue, const PlacedSettings& next, bool running) override;
  void discard() noexcept override { cache_ = {}; }
  [[nodiscard]] Result<void> close_queue(QueueId queue, Duration limit) final;
  [[nodiscard]] Result<void> halt_queue(QueueId /*queue*/) override { return {}; }
  void exchange(QueueId queue) noexcept override;
  [[nodiscard]] Result<void> start_queue(QueueId /*queue*/) override { return {}; }
  /// See QueueRestart.
  void open_queue(QueueId queue) noexcept override;

 private:
  [[nodiscard]] Result<void> close_result(Result<void> closed) const;

  std::shared_ptr<ContextState> context_;
  PortInfo info_;
  Drops drops_;
  std::vector<RxQueueDriver*> rx_;  // all, as PortQueues has them
  std::vector<TxQueueDriver*> tx_;
  std::shared_ptr<MempoolCacheCore> cache_;  // of the receive queue that is set up next
};

/// The limits of a port whose frames software moves. The default MTU is the largest for which the length of a frame
/// fits 16 bits.
[[nodiscard]] constexpr PortLimits software_limits(std::uint16_t rx_queues, std::uint16_t tx_queues,
                                                   std::uint32_t max_mtu = 65535 - RxFilter::kHeaderBytes) noexcept {
  return {.max_rx_queues = rx_queues,
          .max_tx_queues = tx_queues,
          .min_ring = 8,
          .max_ring = 4096,
          .min_mtu = 68,  // that of IPv4 (RFC 791)
          .max_mtu = max_mtu,
          .max_tx_segments = 255,
          .min_frame = 14,  // an Ethernet header
          .max_rx_segments = 255};
}

/// The offloads of such a port. It accepts frames with partial checksums; `in_software` are the checksums that it
/// computes itself.
[[nodiscard]] constexpr OffloadLimits software_offloads(std::uint32_t in_software, RxOffload rx_flags = {}) noexcept {
  return {.tx_flags = TxOffload::kChecksums,
          .tx_software_flags = in_software,
          .rx_flags = rx_flags,
          .max_l2 = 65535,
          .max_l3 = 65535};
}

}  // namespace pollux
