// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>

#include "base/own_process.hpp"
#include "drivers/intel/queue/queue_port.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/forward_path.hpp"

namespace pollux::drivers::intel {

/// The parameters of the forward fast path: RxFastPath and TxFastPath in one.
struct ForwardFastPath {
  std::uint64_t mask = 0;          ///< as in RxFastPath
  std::uint64_t expected = 0;      ///< as in RxFastPath, for a frame of TxRing::kMinFrame bytes
  std::uint64_t max_excess = 0;    ///< longest frame that both rings take, less the shortest, in bytes
  std::uint64_t iova_delta = 0;    ///< from an mbuf's address to its frame's IOVA
  std::uint64_t data_delta = 0;    ///< from an mbuf's address to its frame's address
  std::uint64_t command = 0;       ///< as in TxFastPath
  std::uint64_t last_command = 0;  ///< the same for the last frame of a burst: with RS
  std::uint64_t per_byte = 0;      ///< as in TxFastPath
};

/// A forward path: a receive and a transmit queue that are joined. Every slot of the transmit ring has a buffer. The
/// queues notify it when they open and close. forward_burst.hpp has its fast path, forward_queue.cpp its slow path.
struct ForwardQueue final : ForwardPath, QueueBorrower {
  /// The owners keep the queues alive. Neither queue may be open or joined.
  ForwardQueue(std::shared_ptr<void> rx_owner, IntelRxQueue& rx, std::shared_ptr<void> tx_owner, IntelTxQueue& tx);
  /// Returns the queues.
  ~ForwardQueue() override;
  using ForwardPath::tail_;

  /// Opens the path if both queues are open.
  void open() noexcept override;
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit) override { return gate_.close(&idle, clock, limit); }
  [[nodiscard]] bool is_idle() const noexcept override { return gate_.is_idle(); }
  std::uint32_t drop_waiting(DrainReason reason) noexcept override;
  void give_back() noexcept override;

  IntelRxQueue* rx;
  IntelTxQueue* tx;
  ForwardFastPath fast_path = {};
  std::uint32_t one_by_one_end = 0;  ///< `tail_` at which single frames need the loop: no room, or a ring ends
  Mbuf* waiting = nullptr;           ///< a slow-path frame for which the transmit ring had no room
  std::shared_ptr<void> rx_owner, tx_owner;
  OwnProcess process_;
};

/// Moves the waiting frame, or else the next received one. Returns false if there is none, or no room for it.
bool forward_slow(ForwardQueue& path, ForwardedFrame& frame) noexcept;

/// For AVX2, a pool of one segment, and a transmit ring of at least four groups. `remote`: as for rx_burst.
[[nodiscard]] ForwardPath::BurstFunction* forward_burst_avx2(bool remote) noexcept;

/// Joins a receive queue of `in` with a transmit queue of `out`. Both ports are configured and belong to one Context;
/// the cards may differ. Errors: invalid_argument (no such queue, or one that has to be polled), not_supported (`out`
/// is not a QueuePort).
[[nodiscard]] Result<std::unique_ptr<ForwardPath>> make_forward_path(QueuePort& in, std::uint16_t rx_queue,
                                                                     PortDriver& out, std::uint16_t tx_queue);

}  // namespace pollux::drivers::intel
