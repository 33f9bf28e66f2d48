// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/rx_queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/compiler.hpp"
#include "drivers/intel/queue/rx_hot_path.hpp"
#include "pollux/base/io.hpp"

namespace pollux::drivers::intel {

namespace rx = hw::intel::rx;

void RxQueue::setup(RxQueueSetup setup) {
  end_lending();
  ring_ = setup.ring;
  mask_ = setup.size - 1;
  max_length_ = setup.buffer_bytes;
  group_mask_ = std::min(RxHotPath::kGroup, setup.size / 4) - 1;
  tail_ = setup.tail;
  registers_ = setup.registers;
  head_offset_ = setup.head_offset;
  path_ = setup.path;
  pool_ = std::move(setup.pool);
  cache_owner_ = std::move(setup.cache);
  cache_ = cache_owner_.get();
  fast_path_ = {.mask = RxHotPath::kFastPathMask,
                .expected = RxHotPath::kPlain,
                .max_excess = setup.buffer_bytes - std::uint64_t{1},
                .one_byte_word = pool_->empty_word(RxFormat::intel_advanced, setup.port) + 1,
                .iova_delta = pool_->iova_delta() + Mbuf::kHeaderSize + pool_->data_offset()};
  slot_memory_.assign(setup.size + RxHotPath::kPrefetchDistance, nullptr);
  slots_ = slot_memory_.data();
}

void RxQueue::lend(QueueBorrower& borrower) noexcept {
  const std::lock_guard lock(borrower_lock_);
  borrower_ = &borrower;
}

void RxQueue::take_back() noexcept {
  {
    const std::lock_guard lock(borrower_lock_);
    borrower_ = nullptr;
  }
  if (open_) open_gate();
}

void RxQueue::end_lending() noexcept {
  if (borrower_ != nullptr) borrower_->give_back();
}

Result<void> RxQueue::fill() {
  const std::uint32_t slots = mask_ + 1;
  std::vector<Mbuf*> fresh(slots);
  // Another's cache may be in use on its thread with other queues; nobody uses one that this queue alone knows.
  const std::uint32_t from_cache = cache_owner_.use_count() == 1 ? std::min(cache_->count(), slots) : 0;
  const std::uint32_t from_pool = pool_->take({fresh.data(), slots - from_cache});
  if (from_cache + from_pool < slots) {
    pool_->put({fresh.data(), from_pool});
    pool_->count_failure();
    return fail(ErrorCode::no_memory,
                fmt::format("mempool {} has {} mbufs left and a receive ring needs {}", pool_->options().name,
                            from_cache + from_pool, slots),
                "make the pool larger (count) or the rings smaller (rx_ring)");
  }
  if (from_cache != 0) {  // else not even a count may be written back: its thread may have changed it since
    std::copy_n(cache_->objects(), from_cache, fresh.data() + from_pool);
    cache_->set_first(cache_->first + from_cache);
  }
  std::copy(fresh.begin(), fresh.end(), slot_memory_.begin());
  // What prefetching finds behind the last slot.
  std::fill(slot_memory_.begin() + slots, slot_memory_.end(), fresh.front());
  next_ = 0;
  fast_path_.expected = RxHotPath::kPlain;
  chain_ = Chain::none;
  empty_write_backs_ = 0;
  for (std::uint32_t slot = 0; slot < slots; ++slot) RxHotPath::arm(*this, slot);
  return {};
}

void RxQueue::open() noexcept {
  open_ = true;
  if (borrower_ != nullptr) {
    borrower_->open();
  } else {
    open_gate();
  }
}

void RxQueue::open_gate() noexcept {
  const bool remote = tail_.is_remote();
  const bool one_delta = pool_->has_one_segment();
  // The wider ones reckon addresses by one difference for the whole pool.
  switch (one_delta ? best_of(path_) : BurstMode::scalar) {
#if defined(__x86_64__)
    case BurstMode::avx512: return gate_.open(rx_burst_avx512(remote));
    case BurstMode::avx2: return gate_.open(rx_burst_avx2(remote));
#elif defined(__aarch64__)
    case BurstMode::neon: return gate_.open(rx_burst_neon(remote));
#endif
    default: return gate_.open(rx_burst_scalar(remote, one_delta));
  }
}

Result<void> RxQueue::close(Clock& clock, Duration limit) {
  open_ = false;
  if (borrower_ != nullptr) {
    if (auto closed = borrower_->close(clock, limit); !closed) return closed;
  }
  return gate_.close(&idle, clock, limit);
}

std::uint32_t RxQueue::drain(DrainReason reason) noexcept {
  if (slots_ == nullptr || slots_[0] == nullptr) return 0;
  std::uint64_t& counter = reason == DrainReason::stopped ? drops_.stopped : drops_.removed;
  const std::uint32_t slots = mask_ + 1;
  bool counted_already = chain_ == Chain::discarding;
  for (std::uint32_t i = 0; i < slots; ++i) {
    const std::uint64_t status = ring_[(next_ + i) & mask_].hi;
    // Also behind a slot whose write-back has not come. Done without a length is no frame but the tail of an earlier
    // write-back, on a slot that was armed meanwhile (RxHotPath::kMaxEmptyWritebackPolls).
    if (!rx::done(status) || (status & rx::kEndOfPacket) == 0 || rx::length(status) == 0) continue;
    if (!counted_already) add_to(counter, std::uint64_t{1});
    counted_already = false;
  }
  // To the shared list, like all else here: the cache is the polling thread's.
  const std::uint32_t in_chain = chain_head_ != nullptr ? MbufAccess::segment_count(*chain_head_) : 0;
  MbufDeleter{}(std::exchange(chain_head_, nullptr));
  pool_->put({slots_, slots});
  std::fill(slot_memory_.begin(), slot_memory_.end(), nullptr);
  return slots + in_chain;
}

Result<void> RxQueue::use_cache(const MempoolCache& cache) {
  if (pool_ == nullptr || &cache.core()->pool() != pool_.get()) {
    return fail(ErrorCode::invalid_argument, "the cache is not of the receive queue's mempool",
                "make the cache from the pool that was given as PortConfig::rx_pool");
  }
  cache_owner_ = cache.core();
  cache_ = cache_owner_.get();
  return {};
}

std::uint64_t RxQueue::packets() const noexcept { return read_counter(packets_); }

RxDrops RxQueue::drops() const noexcept {
  return {.bad_length = read_counter(drops_.bad_length),
          .error = read_counter(drops_.error),
          .pool_empty = read_counter(drops_.pool_empty),
          .too_many_segments = read_counter(drops_.too_many_segments),
          .stopped = read_counter(drops_.stopped),
          .removed = read_counter(drops_.removed)};
}

// A borrower has a gate of its own.
bool RxQueue::is_idle() const {
  const std::lock_guard lock(borrower_lock_);
  return borrower_ != nullptr ? borrower_->is_idle() : gate_.is_idle();
}

// A burst moves on in the ring before it counts; what it took is counted when it has ended. Between two bursts is soon:
// an empty one takes nanoseconds. One that was preempted is not waited for.
std::optional<std::uint64_t> RxQueue::taken() const {
  constexpr int kLooks = 10'000;
  for (int look = 0; !is_idle(); ++look) {
    if (look == kLooks) return std::nullopt;
    io::relax();
  }
  const bool in_part = read_counter(chain_) != Chain::none;
  return packets() + drops().sum() + (in_part ? 1 : 0);
}

}  // namespace pollux::drivers::intel
