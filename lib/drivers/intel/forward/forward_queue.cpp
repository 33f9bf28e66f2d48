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
  fast_path_.expected = waiting_ != nullptr
                            ? RxHotPath::kNeverExpected
                            : RxInternals(*rx_).fast_path().expected + (kBeyondOne << hw::intel::rx::kLengthShift);
}

void ForwardQueue::open() noexcept {
  if (!rx_->is_open() || !tx_->is_open()) return;
  const RxInternals rx(*rx_);
  const TxInternals tx(*tx_);
  const MempoolCore& pool = *rx_->pool();
  const std::uint32_t longest = std::min(rx.max_length(), tx.max_frame());
  fast_path_ = {.mask = rx.fast_path().mask,
                .max_excess = longest - TxQueue::kMinFrame,
                .iova_delta = rx.fast_path().iova_delta,
                .data_delta = Mbuf::kHeaderSize + pool.data_offset(),
                .command = tx.fast_path().command,
                .last_command = tx.fast_path().command + hw::intel::tx::kReportStatus,
                .per_byte = tx.fast_path().per_byte};
  update_fast_path();
  one_by_one_end_ = tail_;
  doorbell_ = tx.tail();
  const bool remote = rx.tail().is_remote();
  const bool small = tx.group_mask() + 1 < TxHotPath::kGroup;
  const bool one_delta = pool.has_one_segment();
  switch (small || !one_delta ? BurstMode::scalar : best_of(rx.burst_mode())) {
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
  const TxInternals tx(*tx_);
  add_to(reason == DrainReason::stopped ? tx.drops().stopped : tx.drops().removed, 1);
  add_to(tx.packets(), 1);
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
