// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/forward/forward_queue.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "drivers/intel/forward/forward_hot_path.hpp"
#include "drivers/intel/queue/rx_hot_path.hpp"
#include "drivers/intel/queue/tx_hot_path.hpp"
#include "mem/context_state.hpp"

namespace pollux::drivers::intel {

ForwardQueue::ForwardQueue(std::shared_ptr<void> rx_owner, RxQueue& rx, std::shared_ptr<void> tx_owner, TxQueue& tx)
    : rx_(&rx), tx_(&tx), rx_owner_(std::move(rx_owner)), tx_owner_(std::move(tx_owner)) {
  rx.lend(*this);
  tx.lend(*this, rx.pool());
}

ForwardQueue::~ForwardQueue() {
  const auto locks = lock_ports();
  give_back();
}

void ForwardQueue::update_fast_path() noexcept {
  constexpr std::uint64_t kBeyondOne = TxQueue::kMinFrame - 1;
  fast_path_.expected = waiting_ != nullptr ? RxHotPath::kNeverExpected
                                            : rx_->fast_path_.expected + (kBeyondOne << hw::intel::rx::kLengthShift);
}

void ForwardQueue::open() noexcept {
  if (!rx_->is_open() || !tx_->is_open()) return;
  const MempoolCore& pool = *rx_->pool();
  const std::uint32_t longest = std::min(rx_->max_length_, tx_->max_frame_);
  fast_path_ = {.mask = rx_->fast_path_.mask,
                .max_excess = longest - TxQueue::kMinFrame,
                .iova_delta = rx_->fast_path_.iova_delta,
                .data_delta = Mbuf::kHeaderSize + pool.data_offset(),
                .command = tx_->fast_path_.command,
                .per_byte = tx_->fast_path_.per_byte};
  update_fast_path();
  doorbell_ = tx_->tail_;
  const bool remote = rx_->tail_.is_remote();
  const bool small = tx_->group_mask_ + 1 < TxHotPath::kGroup;
  const bool one_delta = pool.has_one_segment();
  switch (small || !one_delta ? BurstMode::scalar : best_of(rx_->mode_)) {
#if defined(__x86_64__)
    case BurstMode::avx512: return gate_.open(forward_burst_avx512(remote));
    case BurstMode::avx2: return gate_.open(forward_burst_avx2(remote));
#elif defined(__aarch64__)
    case BurstMode::neon: return gate_.open(forward_burst_neon(remote));
#endif
    default: return gate_.open(forward_burst_scalar(remote, small, one_delta));
  }
}

std::uint32_t ForwardQueue::drop_waiting(DrainReason reason) noexcept {
  if (waiting_ == nullptr) return 0;
  add_to(reason == DrainReason::stopped ? tx_->drops_.stopped : tx_->drops_.removed, 1);
  add_to(tx_->packets_, 1);
  const std::uint32_t buffers = waiting_->segments();
  MbufDeleter{}(std::exchange(waiting_, nullptr));
  return buffers;
}

void ForwardQueue::give_back() noexcept {
  if (rx_ == nullptr) return;
  // No wait is needed: a path must not be polled while it is destroyed.
  gate_.open(&idle);
  drop_waiting(DrainReason::stopped);
  std::exchange(tx_, nullptr)->take_back();
  std::exchange(rx_, nullptr)->take_back();
}

}  // namespace pollux::drivers::intel
