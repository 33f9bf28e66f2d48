// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/queue/rx_queue.hpp"
#include "drivers/intel/queue/tx_queue.hpp"

namespace pollux::drivers::intel {

/// The ring and counters of a receive queue, for the QueueBorrower that moves its frames. A value type; an access costs
/// no more than to the member itself. It converts to the queue. Thread rule: that of the queue's bursts.
class RxInternals {
 public:
  explicit RxInternals(RxQueue& queue) noexcept : queue_(queue) {}
  [[nodiscard]] operator RxQueue&() const noexcept { return queue_; }  // NOLINT(google-explicit-constructor)

  [[nodiscard]] std::uint32_t& next() const noexcept { return queue_.next_; }
  [[nodiscard]] std::uint32_t mask() const noexcept { return queue_.mask_; }
  [[nodiscard]] hw::intel::Descriptor* ring() const noexcept { return queue_.ring_; }
  [[nodiscard]] Mbuf** slots() const noexcept { return queue_.slots_; }
  [[nodiscard]] MempoolCacheCore& cache() const noexcept { return *queue_.cache_; }
  [[nodiscard]] const RxFastPath& fast_path() const noexcept { return queue_.fast_path_; }
  [[nodiscard]] std::uint32_t group_mask() const noexcept { return queue_.group_mask_; }
  [[nodiscard]] std::uint32_t max_length() const noexcept { return queue_.max_length_; }
  [[nodiscard]] const Doorbell& tail() const noexcept { return queue_.tail_; }
  [[nodiscard]] BurstMode burst_mode() const noexcept { return queue_.mode_; }

 private:
  RxQueue& queue_;
};

/// The same for a transmit queue.
class TxInternals {
 public:
  explicit TxInternals(TxQueue& queue) noexcept : queue_(queue) {}
  [[nodiscard]] operator TxQueue&() const noexcept { return queue_; }  // NOLINT(google-explicit-constructor)

  [[nodiscard]] RingIndex& next() const noexcept { return queue_.next_; }
  [[nodiscard]] RingIndex& clean() const noexcept { return queue_.clean_; }
  [[nodiscard]] std::uint32_t mask() const noexcept { return queue_.mask_; }
  [[nodiscard]] std::uint32_t group_mask() const noexcept { return queue_.group_mask_; }
  [[nodiscard]] hw::intel::Descriptor* ring() const noexcept { return queue_.ring_; }
  [[nodiscard]] Mbuf** slots() const noexcept { return queue_.slots_; }
  [[nodiscard]] const TxFastPath& fast_path() const noexcept { return queue_.fast_path_; }
  [[nodiscard]] std::uint64_t& packets() const noexcept { return queue_.packets_; }
  [[nodiscard]] const Doorbell& tail() const noexcept { return queue_.tail_; }
  [[nodiscard]] std::uint32_t max_frame() const noexcept { return queue_.limits().max_frame; }
  [[nodiscard]] TxDrops& drops() const noexcept { return queue_.drops_; }
  /// Whether the group of `slot` has buffers that are not direct mbufs of the pool.
  [[nodiscard]] bool mixed(std::uint32_t slot) const noexcept {
    return queue_.contents_[slot >> queue_.group_shift_] != TxQueue::kDirect;
  }

 private:
  TxQueue& queue_;
};

}  // namespace pollux::drivers::intel
