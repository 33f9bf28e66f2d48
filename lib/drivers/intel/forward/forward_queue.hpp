// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>

#include "drivers/intel/queue/rx_queue.hpp"
#include "drivers/intel/queue/tx_queue.hpp"
#include "pollux/net/forward_path.hpp"

namespace pollux::drivers::intel {

/// What makes a frame plain on its way from ring to ring, and its descriptor there: RxFastPath and TxFastPath in one.
struct ForwardFastPath {
  std::uint64_t mask = 0;        ///< as RxFastPath
  std::uint64_t expected = 0;    ///< those bits of a plain frame of TxQueue::kMinFrame bytes
  std::uint64_t max_excess = 0;  ///< longest frame that both rings take, less the shortest
  std::uint64_t iova_delta = 0;  ///< from an mbuf's address to its frame's IOVA
  std::uint64_t data_delta = 0;  ///< from an mbuf's address to its frame's
  std::uint64_t command = 0;     ///< as TxFastPath
  std::uint64_t per_byte = 0;    ///< as TxFastPath
};

/// A forward path between two queues, and its part in their life: they tell it when they open and close, and it gives
/// them back when it goes away. forward_burst.hpp holds the burst functions, forward_slow.cpp what is not plain.
class ForwardQueue final : public ForwardPath, private QueueBorrower {
 public:
  /// `rx_owner` and `tx_owner` keep the queues alive. Neither is open, and neither has a path yet.
  ForwardQueue(std::shared_ptr<void> rx_owner, RxQueue& rx, std::shared_ptr<void> tx_owner, TxQueue& tx);
  ~ForwardQueue() override;

  /// Gives both queues back to their own bursts.
  void give_back() noexcept override;

 private:
  friend struct ForwardHotPath;

  /// Lets frames flow if both queues are open.
  void open() noexcept override;
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit) override { return gate_.close(&idle, clock, limit); }
  [[nodiscard]] bool is_idle() const noexcept override { return gate_.is_idle(); }
  std::uint32_t drop_waiting(DrainReason reason) noexcept override;

  /// While a frame in several buffers comes in, or waits to go out, nothing is plain, so that the path of plain frames
  /// need not ask. To be called whenever one of the two may have changed.
  void set_rule() noexcept;

  RxQueue* rx_;
  TxQueue* tx_;
  ForwardFastPath fast_path_;
  Mbuf* waiting_ = nullptr;  // a frame in several buffers for which the transmit ring had no room
  std::shared_ptr<void> rx_owner_;
  std::shared_ptr<void> tx_owner_;
};

}  // namespace pollux::drivers::intel
