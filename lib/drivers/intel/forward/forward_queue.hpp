// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>

#include "drivers/intel/queue/rx_queue.hpp"
#include "drivers/intel/queue/tx_queue.hpp"
#include "pollux/net/forward_path.hpp"

namespace pollux::drivers::intel {

/// The parameters of the forward fast path: RxFastPath and TxFastPath in one.
struct ForwardFastPath {
  std::uint64_t mask = 0;          ///< as in RxFastPath
  std::uint64_t expected = 0;      ///< as in RxFastPath, for a frame of TxQueue::kMinFrame bytes
  std::uint64_t max_excess = 0;    ///< longest frame that both rings take, less the shortest, in bytes
  std::uint64_t iova_delta = 0;    ///< from an mbuf's address to its frame's IOVA
  std::uint64_t data_delta = 0;    ///< from an mbuf's address to its frame's address
  std::uint64_t command = 0;       ///< as in TxFastPath
  std::uint64_t last_command = 0;  ///< the same for the last frame of a burst: with RS
  std::uint64_t per_byte = 0;      ///< as in TxFastPath
};

/// A forward path from a receive queue to a transmit queue. The queues notify it when they open and close. It returns
/// them when it is destroyed. forward_burst.hpp has its fast path, forward_slow.cpp its slow path.
class ForwardQueue final : public ForwardPath, private QueueBorrower {
 public:
  /// `rx_owner` and `tx_owner` keep the queues alive. Neither queue may be open or lent.
  ForwardQueue(std::shared_ptr<void> rx_owner, RxQueue& rx, std::shared_ptr<void> tx_owner, TxQueue& tx);
  ~ForwardQueue() override;

  /// Returns both queues, whose own bursts work again.
  void give_back() noexcept override;

 private:
  friend struct ForwardHotPath;

  /// Opens the path if both queues are open.
  void open() noexcept override;
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit) override { return gate_.close(&idle, clock, limit); }
  [[nodiscard]] bool is_idle() const noexcept override { return gate_.is_idle(); }
  std::uint32_t drop_waiting(DrainReason reason) noexcept override;

  /// Disables the fast path while a frame in several buffers is being received or waits to be sent, so that the fast
  /// path needs no check of its own. Call it whenever one of the two may have changed.
  void update_fast_path() noexcept;

  RxQueue* rx_;
  TxQueue* tx_;
  ForwardFastPath fast_path_;
  /// The value of `tail_` at which single frames need the loop: there is no room, or a ring ends. The loop sets it.
  std::uint32_t one_by_one_end_ = 0;
  Mbuf* waiting_ = nullptr;  // a slow-path frame for which the transmit ring had no room
  std::shared_ptr<void> rx_owner_;
  std::shared_ptr<void> tx_owner_;
};

}  // namespace pollux::drivers::intel
