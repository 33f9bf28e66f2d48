// SPDX-License-Identifier: BSD-3-Clause
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <utility>

#include "pollux/net/checksum_offload.hpp"
#include "ports/xdp/queues.hpp"

namespace pollux::xdp {

void TxQueue::attach(Socket& socket, std::shared_ptr<const Umem> area, std::optional<Mempool> copies,
                     std::uint32_t max_segments) {
  lend_from(lent_, *area, 0);
  tx_ = socket.tx;
  completion_ = socket.completion;
  socket_ = socket.descriptor();
  publish(in_flight_, 0U);
  max_segments_ = max_segments;
  zero_copy_ = socket.is_zero_copy();
  area_ = std::move(area);
  copies_.reset();
  if (copies) copies_.emplace(*copies);
  cache_changed();
}

void TxQueue::cache_changed() noexcept {
  max_excess_ =
      std::min<std::uint32_t>(limits().max_frame, std::numeric_limits<std::uint16_t>::max()) - limits().min_frame;
  const bool is_direct =
      cache() != nullptr && area_ != nullptr && area_->holds(cache()->pool()) && may_be_in(cache()->pool());
  direct_ = is_direct ? shortest() : direct_word(nullptr, 0);
}

POLLUX_ALWAYS_INLINE void TxQueue::put(const Mbuf& mbuf, std::uint32_t options) noexcept {
  const auto offset = static_cast<std::uint64_t>(mbuf.data() - reinterpret_cast<const std::uint8_t*>(&mbuf));
  tx_.at(tx_.own++) = {
      .addr = lent_.lend(mbuf) | offset << XSK_UNALIGNED_BUF_OFFSET_SHIFT, .len = mbuf.length(), .options = options};
  publish(in_flight_, in_flight_ + 1);
}

// Frees what the kernel has sent.
std::uint32_t TxQueue::reclaim() noexcept {
  const std::uint32_t all = waiting(completion_, ~std::uint32_t{0});
  for (std::uint32_t left = all; left != 0;) {
    std::array<Mbuf*, 32> group;
    std::size_t count = 0;
    for (; left != 0 && count < group.size(); --left) {
      Mbuf* const mbuf = lent_.take_back(completion_.at(completion_.own++));
      if (mbuf != nullptr) group[count++] = mbuf;
    }
    if (cache() != nullptr) {
      cache()->free_group({group.data(), count});
    } else {
      std::for_each_n(group.begin(), count, MbufDeleter{});
    }
  }
  if (all != 0) release(completion_);
  publish(in_flight_, in_flight_ - all);
  return all;
}

bool TxQueue::is_reachable(const Mbuf& frame) const noexcept {
  const bool single = frame.next() == nullptr;
  for (const Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    const std::uint8_t special = MbufAccess::special(const_cast<Mbuf&>(*segment));
    if ((special & (MbufAccess::kClone | MbufAccess::kExternal)) != 0) return false;
    // Each segment of a chain is freed on its own.
    if (!single && (special & ~MbufAccess::kMultiSegment) != 0) return false;
    if (!area_->holds(segment, Mbuf::kHeaderSize + segment->capacity())) return false;
    if (!may_be_in(MbufAccess::pool(*segment))) return false;
  }
  return frame.segments() <= max_segments_;
}

// A copy in mbufs that the kernel reaches. Empty if there are too few.
MbufPtr TxQueue::copy(const Mbuf& frame) noexcept {
  MbufPtr whole;
  for (std::uint32_t at = 0; at < frame.packet_length();) {
    MbufPtr part = copies_->allocate();
    if (part == nullptr) return {};
    const std::uint32_t bytes = std::min(part->tailroom(), frame.packet_length() - at);
    static_cast<void>(frame.copy_out(at, {part->append(bytes), bytes}));
    at += bytes;
    if (whole == nullptr) {
      whole = std::move(part);
    } else if (!whole->chain(part)) {
      return {};
    }
  }
  return whole;
}

void TxQueue::put_frame(Mbuf& frame) noexcept {
  for (Mbuf* segment = &frame; segment != nullptr;) {
    Mbuf* const next = segment->next();
    static_cast<void>(next == nullptr || MbufAccess::unlink(*segment));
    put(*segment, next != nullptr ? kContinues : 0);
    segment = next;
  }
}

POLLUX_NOINLINE bool TxQueue::send_slow(Mbuf* frame) noexcept {
  if (reject(frame)) return true;
  switch (complete_checksums(*frame)) {
    case ChecksumCompletion::complete: break;
    case ChecksumCompletion::bad_request: drop(*frame, &TxDrops::bad_offload); return true;
    case ChecksumCompletion::shared_data: drop(*frame, &TxDrops::shared_checksum); return true;
  }
  const std::uint32_t room = limit_ - in_flight_;
  const std::uint32_t bytes = frame->packet_length();
  if (is_reachable(*frame)) {
    if (frame->segments() > room && frame->segments() <= limit_) return false;
    if (frame->segments() <= room) {
      put_frame(*frame);
      count_sent(bytes);
      return true;
    }
  }
  if (!copies_) {
    drop(*frame, &TxDrops::unreachable);
    return true;
  }
  MbufPtr whole = copy(*frame);
  if (whole == nullptr) return false;  // the pool has mbufs again once some have been sent
  if (whole->segments() > std::min(max_segments_, limit_)) {
    drop(*frame, &TxDrops::too_many_segments);
    return true;
  }
  if (whole->segments() > room) return false;
  put_frame(*whole.release());
  count_sent(bytes);
  add_to(copied_, 1);
  give_back(*frame);
  return true;
}

std::uint32_t TxQueue::burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  auto& queue = static_cast<TxQueue&>(base);
  const std::uint32_t freed = queue.reclaim();
  std::uint32_t taken = 0;
  std::uint32_t plain = 0;
  std::uint64_t bytes = 0;
  for (; taken < count && queue.in_flight_ < queue.limit_; ++taken) {
    Mbuf* const frame = mbufs[taken];
    // One comparison covers length, pool and `special`: see TxQueue::reject.
    const std::uint32_t excess =
        POLLUX_CHECKED == 0 ? static_cast<std::uint32_t>(MbufAccess::word(*frame)) - queue.direct_ : ~std::uint32_t{0};
    if (excess <= queue.max_excess_) [[likely]] {
      queue.put(*frame, 0);
      bytes += excess;
      ++plain;
    } else if (!queue.send_slow(frame)) {
      break;
    }
  }
  submit(queue.tx_);
  if (plain != 0) queue.count_sent(bytes + std::uint64_t{plain} * queue.limits().min_frame, plain);
  if (needs_wakeup(queue.tx_)) queue.kick();
  queue.count_taken(taken);
  return mbufs == nullptr ? freed : taken;  // null: tx_done_cleanup
}

// Makes the kernel send what is in the ring. It sends a few frames a call, and ends a call at a frame that the driver
// does not take: EBUSY if that frame is lost, EAGAIN if it is tried again (Linux, net/xdp/xsk.c, __xsk_generic_xmit).
void TxQueue::kick() noexcept {
  std::uint32_t before = consumed(tx_);
  while (before != tx_.own) {
    if (::sendto(socket_, nullptr, 0, MSG_DONTWAIT, nullptr, 0) >= 0) return;
    const int error = errno;
    const std::uint32_t after = consumed(tx_);
    if (after == before) return;
    if (error == EBUSY) count_lost(after, &TxDrops::write_failed);
    before = after;
  }
}

// The frame that ends before `end` in the ring was counted as sent, but was lost.
void TxQueue::count_lost(std::uint32_t end, TxDrop why) noexcept {
  std::uint32_t bytes = tx_.at(--end).len;
  for (; (tx_.at(end - 1).options & kContinues) != 0 && bytes < limits().max_frame; --end) bytes += tx_.at(end - 1).len;
  count_unsent(bytes, why);
}

void TxQueue::finish() noexcept {
  SteadyClock clock;  // as for Socket::bind
  static_cast<void>(wait_until(clock, "sending", std::chrono::milliseconds(50), [&] {
    kick();
    static_cast<void>(reclaim());
    return in_flight_ == 0;
  }));
}

void TxQueue::count_unsent_frames() noexcept {
  std::uint32_t end = consumed(tx_);
  while (end != tx_.own) {
    while ((tx_.at(end).options & kContinues) != 0) ++end;
    count_lost(++end, &TxDrops::stopped);
  }
}

std::uint32_t TxQueue::detach() noexcept {
  copies_.reset();
  area_ = nullptr;
  publish(in_flight_, 0U);
  return free_all(lent_);
}

}  // namespace pollux::xdp
