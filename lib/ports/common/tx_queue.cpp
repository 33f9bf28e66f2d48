// SPDX-License-Identifier: BSD-3-Clause
#include "ports/common/tx_queue.hpp"

#include <utility>

#include "mem/context_state.hpp"
#include "net/checksums.hpp"

namespace pollux::ports {

std::optional<TxDrop> TxQueue::drop_reason(Mbuf& frame) const noexcept {
  const std::uint32_t flags = frame.tx_offload().flags;
  if ((flags & ~offloads_) != 0) return TxDrop::unsupported_offload;
  bool has_gap = false;
  std::uint64_t bytes = 0;
  for (Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    if (&MbufAccess::pool(*segment).context() != context_.get()) return TxDrop::unreachable;
    if (MbufAccess::data_offset(*segment) + segment->length() > segment->capacity()) return TxDrop::bad_segment;
    has_gap = has_gap || segment->length() == 0;
    bytes += segment->length();
  }
  if (bytes < kEthernetHeaderBytes) return TxDrop::too_short;
  if (bytes > ((flags & kSegmentation) != 0 ? kMaxSegmentedFrame : kMaxFrame)) return TxDrop::too_long;
  if (has_gap) return TxDrop::bad_segment;
  if (frame.has_partial_checksum() && !checksums_fit(frame)) return TxDrop::bad_offload;
  if ((flags & kSegmentation) == 0) return std::nullopt;
  if (!segmentation_fits(frame)) return TxDrop::bad_offload;
  if ((flags & TxOffload::udp_segmentation) != 0 && segments_of(frame) > kMaxDatagrams) return TxDrop::bad_offload;
  return std::nullopt;
}

void TxQueue::setup(TxQueueSetup setup) {
  set_cache(std::move(setup.cache));
  context_ = std::move(setup.context);
}

void TxQueue::retire() noexcept { set_cache(nullptr); }

void TxQueue::set_cache(std::shared_ptr<MempoolCacheCore> cache) noexcept {
  cache_owner_ = std::move(cache);
  cache_ = cache_owner_.get();
  shortest_ = direct_word(cache_, kEthernetHeaderBytes);
}

Result<void> TxQueue::use_cache(const MempoolCache& cache) {
  if (context_ == nullptr || &cache.core()->pool().context() != context_.get()) {
    return fail(ErrorCode::invalid_argument, "the cache belongs to another Context than the transmit queue",
                "make the cache from a pool of the Context that opened the port");
  }
  set_cache(cache.core());
  return {};
}

POLLUX_NOINLINE bool TxQueue::reject_slow(Mbuf* frame) noexcept {
  if constexpr (ownership::kChecked) {
    if (!ownership::may_send(frame, *context_)) {
      // An mbuf that the caller does not own is not freed. An mbuf of another Context is freed to its own pool.
      if (frame != nullptr && &MbufAccess::pool(*frame).context() != context_.get()) {
        drop(*frame, TxDrop::unreachable);
      } else {
        add_to(counters_.drops[static_cast<std::size_t>(TxDrop::unreachable)], std::uint64_t{1});
      }
      return true;
    }
  }
  const std::optional<TxDrop> why = drop_reason(*frame);
  if (!why) return false;
  drop(*frame, *why);
  return true;
}

void TxQueue::drop(Mbuf& frame, TxDrop why) noexcept {
  add_to(counters_.drops[static_cast<std::size_t>(why)], std::uint64_t{1});
  give_back(frame);
}

void TxQueue::give_back(Mbuf& frame) noexcept {
  if (cache_ != nullptr) {
    cache_->free(frame);
  } else {
    MbufDeleter{}(&frame);
  }
}

TxCounters TxQueue::counters() const noexcept {
  TxCounters seen{.taken = read_counter(counters_.taken),
                  .sent = read_counter(counters_.sent),
                  .bytes = read_counter(counters_.bytes)};
  for (std::size_t i = 0; i < seen.drops.size(); ++i) seen.drops[i] = read_counter(counters_.drops[i]);
  return seen;
}

}  // namespace pollux::ports
