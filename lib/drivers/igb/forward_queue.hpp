// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>

#include "drivers/igb/rx_queue.hpp"
#include "drivers/igb/tx_queue.hpp"
#include "pollux/net/forward_path.hpp"

namespace pollux::igb {

/// What makes a frame plain on its way from ring to ring, and its descriptor there: RxRule and TxRule in one.
struct ForwardRule {
  std::uint64_t inspected = 0;   ///< as RxRule
  std::uint64_t wanted = 0;      ///< those bits of a plain frame of TxQueue::kMinFrame bytes
  std::uint64_t span = 0;        ///< longest frame that both rings take, less the shortest
  std::uint64_t iova_delta = 0;  ///< from an mbuf's address to its frame's IOVA
  std::uint64_t data_delta = 0;  ///< from an mbuf's address to its frame's
  std::uint64_t command = 0;     ///< as TxRule
  std::uint64_t per_byte = 0;    ///< as TxRule
};

/// A forward path between two queues, and its part in their life: they tell it when they open and close, and it gives
/// them back when it goes away. forward_burst.hpp holds the burst functions, forward_careful.cpp what is not plain.
class ForwardQueue final : public ForwardPath {
 public:
  /// `rx_owner` and `tx_owner` keep the queues alive. Neither is open, and neither has a path yet.
  ForwardQueue(std::shared_ptr<void> rx_owner, RxQueue& rx, std::shared_ptr<void> tx_owner, TxQueue& tx);
  ~ForwardQueue() override;

  /// Lets frames flow if both queues are open. On the control thread, as all below.
  void open() noexcept;
  /// Error timeout: see BurstGate::close.
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit) { return gate_.close(&idle, clock, limit); }
  /// Whether no burst is going on. From any thread that holds the receive queue's lock.
  [[nodiscard]] bool is_idle() const noexcept { return gate_.is_idle(); }
  /// Gives both queues back to their own bursts.
  void detach() noexcept;
  /// Throws the frame away that waits for room in the transmit ring; returns its buffers.
  std::uint32_t drop_waiting(DrainReason reason = DrainReason::stopped) noexcept;
  [[nodiscard]] const std::shared_ptr<MempoolCore>& pool() const noexcept { return rx_->pool(); }

 private:
  friend struct ForwardHotPath;

  /// While a frame in several buffers comes in, or waits to go out, nothing is plain, so that the path of plain frames
  /// need not ask. To be called whenever one of the two may have changed.
  void set_rule() noexcept;

  RxQueue* rx_;
  TxQueue* tx_;
  ForwardRule rule_;
  Mbuf* waiting_ = nullptr;  // a frame in several buffers for which the transmit ring had no room
  std::shared_ptr<void> rx_owner_;
  std::shared_ptr<void> tx_owner_;
};

}  // namespace pollux::igb
