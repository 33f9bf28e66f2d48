// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/tx_queue.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <thread>

#include "base/compiler.hpp"
#include "mem/context_state.hpp"
#include "mem/mempool_core.hpp"
#include "mem/ownership.hpp"
#include "net/checksums.hpp"
#include "net/frame_size.hpp"
#include "pollux/net/queue_driver.hpp"

namespace pollux {

TxQueue::TxQueue(BurstFunction* burst) noexcept : burst_(burst), shortest_(direct_word(nullptr, 0)), gate_(&idle) {}

TxQueue::~TxQueue() = default;

TxQueueDriver::TxQueueDriver(BurstFunction* burst) noexcept : TxQueue(burst) {}

void TxQueueDriver::set_up(const TxQueueLimits& limits, std::shared_ptr<MempoolCacheCore> cache,
                           std::shared_ptr<const ContextState> context) noexcept {
  limits_ = limits;
  max_excess_ = std::min<std::uint32_t>(limits.max_frame, std::numeric_limits<std::uint16_t>::max()) - limits.min_frame;
  context_ = std::move(context);
  set_cache(std::move(cache));
}

// Only mbufs of the cache's pool take the fast path; without a cache none does.
void TxQueueDriver::set_cache(std::shared_ptr<MempoolCacheCore> cache) noexcept {
  cache_owner_ = std::move(cache);
  shortest_ = direct_word(cache_owner_.get(), limits_.min_frame);
  cache_changed();
}

void TxQueueDriver::retire() noexcept { set_cache(nullptr); }

void TxQueueDriver::open() noexcept { open_bursts(burst_); }

Result<void> TxQueueDriver::close(Clock& clock, Duration limit) { return gate_.close(&idle, clock, limit); }

Result<void> TxQueueDriver::use_cache(const MempoolCache& cache) {
  if (context_ == nullptr || &cache.core()->pool().context() != context_.get()) {
    return fail(ErrorCode::invalid_argument, "the cache belongs to another Context than the transmit queue",
                "make the cache from a pool of the Context that opened the port");
  }
  set_cache(cache.core());
  return {};
}

std::optional<TxDescriptorStatus> TxQueueDriver::descriptor_status(std::uint32_t) const noexcept {
  return std::nullopt;
}

TxDrop TxQueueDriver::drop_reason(Mbuf& frame) const noexcept {
  const std::uint32_t flags = frame.tx_offload().flags;
  if ((flags & ~limits_.offloads) != 0) return &TxDrops::unsupported_offload;
  bool has_gap = false;
  std::uint64_t bytes = 0;
  for (Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    if (&MbufAccess::pool(*segment).context() != context_.get()) return &TxDrops::unreachable;
    if (MbufAccess::data_offset(*segment) + segment->length() > segment->capacity()) return &TxDrops::bad_segment;
    has_gap = has_gap || segment->length() == 0;
    bytes += segment->length();
  }
  const bool is_segmented = (flags & TxOffload::kSegmentation) != 0;
  if (bytes < limits_.min_frame) return &TxDrops::too_short;
  if (bytes > (is_segmented ? kMaxSegmentedFrame : limits_.max_frame)) return &TxDrops::too_long;
  if (has_gap) return &TxDrops::bad_segment;
  if (frame.has_partial_checksum() && !checksums_fit(frame)) return &TxDrops::bad_offload;
  if (!is_segmented) return nullptr;
  if (has_split_headers(frame)) return &TxDrops::unfit_headers;
  if (!segmentation_fits(frame)) return &TxDrops::bad_offload;
  if (!has_ip_length(frame)) return &TxDrops::too_long;
  const bool is_udp = (flags & TxOffload::udp_segmentation) != 0;
  return is_udp && segments_of(frame) > kMaxDatagrams ? &TxDrops::too_many_segments : nullptr;
}

POLLUX_NOINLINE bool TxQueueDriver::reject_slow(Mbuf* frame) noexcept {
  if constexpr (ownership::kChecked) {
    if (!ownership::may_send(frame, *context_)) {
      // An mbuf that the caller does not own is not freed. An mbuf of another Context is freed to its own pool.
      if (frame != nullptr && &MbufAccess::pool(*frame).context() != context_.get()) {
        drop(*frame, &TxDrops::unreachable);
      } else {
        count_drops(&TxDrops::unreachable, 1);
      }
      return true;
    }
  }
  const TxDrop why = drop_reason(*frame);
  if (why != nullptr) drop(*frame, why);
  return why != nullptr;
}

void TxQueueDriver::drop(Mbuf& frame, TxDrop why) noexcept {
  count_drops(why, 1);
  give_back(frame);
}

void TxQueueDriver::give_back(Mbuf& frame) noexcept {
  if (cache_owner_ != nullptr) {
    cache_owner_->free(frame);
  } else {
    MbufDeleter{}(&frame);
  }
}

TxDrops TxQueueDriver::drops() const noexcept {
  TxDrops seen;
  for (const auto& [why, name] : kTxDrops) seen.*why = read_counter(drops_.*why);
  return seen;
}

namespace {

TxSent read(const TxSent& counted) noexcept {
  const TxSent seen{.packets = read_counter(counted.packets), .bytes = read_counter(counted.bytes)};
  std::atomic_thread_fence(std::memory_order_acquire);  // what is read next is no older
  return seen;
}
void write(TxSent& counted, const TxSent& value) noexcept {
  publish(counted.packets, value.packets);
  publish(counted.bytes, value.bytes);
}

}  // namespace

TxSent TxQueueDriver::sent() noexcept {
  TxSent now = read(sent_);
  if (has_unsent(now)) now = read(certain_);
  told_ = {.packets = std::max(told_.packets, now.packets), .bytes = std::max(told_.bytes, now.bytes)};
  return told_;
}

void TxQueueDriver::count_unsent(std::uint32_t bytes, TxDrop why) noexcept {
  count_sent(~std::uint64_t{bytes} + 1, ~std::uint64_t{0});
  count_drops(why, 1);
  // The frame may be behind the mark: then less than what was sent is certain.
  marked_.packets -= 1;
  marked_.bytes -= bytes;
}

POLLUX_NOINLINE void TxQueueDriver::move_mark(std::uint32_t next) noexcept {
  constexpr std::uint32_t kMore = 64;  // so that a ring that is nearly empty does not move it with each burst
  write(certain_, marked_);
  marked_ = sent_;
  mark_ = next + kMore;
}

void TxQueueDriver::forget_mark(std::uint32_t next) noexcept {
  marked_ = sent_;
  move_mark(next);
}

Result<SharedTxQueue> SharedTxQueue::create(TxQueue& queue, const Mempool& pool) {
  MempoolCache cache(pool);
  if (auto used = queue.use_cache(cache); !used) return pass_on(std::move(used));
  return SharedTxQueue(queue, std::move(cache));
}

void SharedTxQueue::wait() noexcept {
  constexpr unsigned kSpins = 100;
  for (unsigned spins = 0;; ++spins) {
    // Reads until the lock looks free: only then is a write worth the cache line.
    if (!locked_.load(std::memory_order_relaxed) && try_lock()) return;
    if (spins >= kSpins) std::this_thread::yield();
  }
}

}  // namespace pollux
