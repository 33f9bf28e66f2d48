// SPDX-License-Identifier: BSD-3-Clause
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <utility>

#include "pollux/net/checksum_offload.hpp"
#include "ports/xdp/queues.hpp"

namespace pollux::xdp {
namespace {

/// A plain mbuf that the kernel returns, in `out`. Returns false, with nothing changed, for any other address.
POLLUX_ALWAYS_INLINE bool remove_plain(const BorrowedPlaces& places, std::uint64_t lines, std::uint64_t address,
                                       Mbuf*& out) noexcept {
  const std::uint64_t distance = address & XSK_UNALIGNED_BUF_ADDR_MASK;
  const std::uint64_t line = BorrowedMbufs::line(distance);
  if (line >= lines) [[unlikely]]
    return false;
  std::uint8_t& mark = places.marks[BorrowedMbufs::block_of(line)];
  if (mark != BorrowedMbufs::mark(distance, BorrowedMbufs::Kind::plain)) [[unlikely]]
    return false;
  mark = BorrowedMbufs::kNone;
  out = reinterpret_cast<Mbuf*>(places.area + distance);
  return true;
}

}  // namespace

void XdpTxQueue::attach(const Rings& rings, int socket, bool zero_copy, std::shared_ptr<const Umem> area,
                        std::optional<Mempool> copies, std::uint32_t max_segments) {
  borrowed_.reset(area->first(), area->bytes());
  constexpr std::uint64_t kHeader = std::uint64_t{Mbuf::kHeaderSize} << XSK_UNALIGNED_BUF_OFFSET_SHIFT;
  plain_ = {.base = reinterpret_cast<std::uintptr_t>(borrowed_.area) - kHeader,
            .marks = reinterpret_cast<std::uintptr_t>(borrowed_.marks) - kHeader / BorrowedMbufs::kBlock};
  tx_ = rings.tx;
  completion_ = rings.completion;
  socket_ = socket;
  publish(in_flight_, 0U);
  forget_mark(tx_.own);
  max_segments_ = max_segments;
  zero_copy_ = zero_copy;
  area_ = std::move(area);
  if (copies) {
    copies_.emplace(*copies);
  } else {
    copies_.reset();
  }
  cache_changed();
}

void XdpTxQueue::cache_changed() noexcept {
  max_excess_ =
      std::min<std::uint32_t>(limits().max_frame, std::numeric_limits<std::uint16_t>::max()) - limits().min_frame;
  const bool is_direct =
      cache() != nullptr && area_ != nullptr && area_->holds(cache()->pool()) && may_be_in(cache()->pool());
  direct_ = is_direct ? shortest() : direct_word(nullptr, 0);
  borrowed_.forget_plain();
}

void XdpTxQueue::put(const Mbuf& mbuf, std::uint32_t options) noexcept {
  const auto offset = static_cast<std::uint64_t>(mbuf.data() - reinterpret_cast<const std::uint8_t*>(&mbuf));
  tx_.at(tx_.own++) = {
      .addr = borrowed_.add(mbuf, BorrowedMbufs::Kind::other) | offset << XSK_UNALIGNED_BUF_OFFSET_SHIFT,
      .len = mbuf.length(),
      .options = options};
  publish(in_flight_, in_flight_ + 1);
}

POLLUX_ALWAYS_INLINE bool XdpTxQueue::reclaim_one() noexcept {
  MempoolCacheCore* const to = cache();
  if (to == nullptr || to->first <= to->reserved) [[unlikely]]
    return false;
  const std::uint32_t slot = to->first - 1;
  if (!remove_plain(borrowed_, borrowed_.lines, completion_.at(completion_.own), to->mbufs[slot])) return false;
  to->set_first(slot);
  ++completion_.own;
  release(completion_);
  return true;
}

// Usually all are plain, and the ring does not end among them.
POLLUX_NOINLINE std::uint32_t XdpTxQueue::reclaim() noexcept {
  const std::uint32_t count = waiting(completion_);
  if (count == 0) return 0;
  std::uint32_t freed = cache() != nullptr ? reclaim_run(count) : 0;
  if (freed != count) freed += reclaim_rest(count - freed);
  release(completion_);
  publish(in_flight_, in_flight_ - freed);
  note_sent(consumed(tx_), tx_.own);
  return freed;
}

/// Frees plain mbufs, up to the first other address or the end of the ring. Returns their number.
POLLUX_ALWAYS_INLINE std::uint32_t XdpTxQueue::reclaim_run(std::uint32_t limit) noexcept {
  MempoolCacheCore& to = *cache();
  const std::uint32_t count = std::min({limit, completion_.until_end(), MempoolCacheCore::kSlack});
  to.make_room(count);
  const BorrowedPlaces places = borrowed_;
  Mbuf** const end = to.objects();
  const std::uint64_t* const addresses = &completion_.at(completion_.own) + count;
  std::intptr_t i = -static_cast<std::intptr_t>(count);
  while (i != 0 && remove_plain(places, borrowed_.lines, addresses[i], end[i])) ++i;
  const std::uint32_t done = count + static_cast<std::uint32_t>(i);
  if (i != 0) std::copy_backward(end - count, end - count + done, end);
  to.set_first(to.first - done);
  completion_.own += done;
  return done;
}

POLLUX_NOINLINE std::uint32_t XdpTxQueue::reclaim_rest(std::uint32_t count) noexcept {
  MempoolCacheCore* const to = cache();
  std::uint32_t freed = 0;
  for (std::uint32_t left = count; left != 0;) {
    const std::uint32_t done = to != nullptr ? reclaim_run(left) : 0;
    freed += done;
    left -= done;
    if (done != 0) continue;
    --left;
    Mbuf* const mbuf = borrowed_.remove(completion_.at(completion_.own++));
    if (mbuf == nullptr) continue;
    ++freed;
    if (to != nullptr) {
      to->free_group({&mbuf, 1});
    } else {
      MbufDeleter{}(mbuf);
    }
  }
  return freed;
}

bool XdpTxQueue::is_reachable(const Mbuf& frame) const noexcept {
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
MbufPtr XdpTxQueue::copy(const Mbuf& frame) noexcept {
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

void XdpTxQueue::put_frame(Mbuf& frame) noexcept {
  for (Mbuf* segment = &frame; segment != nullptr;) {
    Mbuf* const next = segment->next();
    static_cast<void>(next == nullptr || MbufAccess::unlink(*segment));
    put(*segment, next != nullptr ? kContinues : 0);
    segment = next;
  }
}

POLLUX_NOINLINE bool XdpTxQueue::send_slow(Mbuf* frame) noexcept {
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

POLLUX_ALWAYS_INLINE bool XdpTxQueue::is_plain(const Mbuf& mbuf) const noexcept {
  if (POLLUX_CHECKED != 0) return false;  // checked builds look at each mbuf
  // One comparison covers length, pool and `special`: see TxQueue::reject.
  return static_cast<std::uint32_t>(MbufAccess::word(mbuf)) - direct_ <= max_excess_;
}

/// Puts a plain frame into a slot of the ring, and returns its length. An mbuf's address less `base` is that of data
/// which begins right after the header, in the kernel's form; divided by the size of a block it is the distance of the
/// mark from `marks`.
POLLUX_ALWAYS_INLINE std::uint64_t XdpTxQueue::put_plain(std::uintptr_t base, std::uintptr_t marks, const Mbuf& mbuf,
                                                         xdp_desc& slot) noexcept {
  const std::uint64_t offset = MbufAccess::data_offset(const_cast<Mbuf&>(mbuf));
  const std::uint64_t address = reinterpret_cast<std::uintptr_t>(&mbuf) - base;
  slot.addr = address + (offset << XSK_UNALIGNED_BUF_OFFSET_SHIFT);
  const std::uint64_t length = static_cast<std::uint16_t>(MbufAccess::word(mbuf));  // and in the upper half no options
  std::memcpy(&slot.len, &length, sizeof length);
  *reinterpret_cast<std::uint8_t*>(marks + address / BorrowedMbufs::kBlock) =
      BorrowedMbufs::mark(address, BorrowedMbufs::Kind::plain);
  return length;
}

POLLUX_ALWAYS_INLINE bool XdpTxQueue::send_one(const Mbuf& mbuf) noexcept {
  const std::uint32_t completed = waiting(completion_);
  if (completed > 1 || in_flight_ >= limit_ || !is_plain(mbuf)) return false;
  if (completed == 0) {
    publish(in_flight_, in_flight_ + 1);
  } else if (!reclaim_one()) {
    return false;
  }
  const std::uint32_t position = tx_.own;
  const std::uint64_t bytes = put_plain(plain_.base, plain_.marks, mbuf, tx_.at(position));
  tx_.own = position + 1;
  submit(tx_);
  count_sent(bytes);
  return true;
}

// Usually all are plain, and the ring does not end among them.
POLLUX_NOINLINE std::uint32_t XdpTxQueue::put(Mbuf* const* mbufs, std::uint32_t count) noexcept {
  const std::uint32_t done = in_flight_ < limit_ ? put_run(mbufs, count) : 0;
  return done == count ? done : done + put_rest(mbufs + done, count - done);
}

/// Puts plain frames into the ring, up to the first other one or the end of the ring. Returns their number.
POLLUX_ALWAYS_INLINE std::uint32_t XdpTxQueue::put_run(Mbuf* const* mbufs, std::uint32_t limit) noexcept {
  const std::uint32_t count = std::min({limit, limit_ - in_flight_, tx_.until_end()});
  const std::uintptr_t base = plain_.base;
  const std::uintptr_t marks = plain_.marks;
  xdp_desc* const slots = &tx_.at(tx_.own) + count;
  Mbuf* const* const end = mbufs + count;
  std::uint64_t bytes = 0;
  std::intptr_t i = -2 * static_cast<std::intptr_t>(count);
  for (; i != 0 && is_plain(*in_run(end, i)); i += 2)
    bytes += put_plain(base, marks, *in_run(end, i), in_run(slots, i));
  const std::uint32_t done = count + static_cast<std::uint32_t>(i / 2);
  tx_.own += done;
  publish(in_flight_, in_flight_ + done);
  count_sent(bytes, done);
  return done;
}

POLLUX_NOINLINE std::uint32_t XdpTxQueue::put_rest(Mbuf* const* mbufs, std::uint32_t count) noexcept {
  std::uint32_t taken = 0;
  while (taken < count && in_flight_ < limit_) {
    const std::uint32_t done = put_run(mbufs + taken, count - taken);
    taken += done;
    if (done != 0) continue;
    if (!send_slow(mbufs[taken])) break;
    ++taken;
  }
  return taken;
}

std::uint32_t XdpTxQueue::burst(TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  auto& queue = static_cast<XdpTxQueue&>(base);
  if (count != 1 || !queue.send_one(**mbufs)) return queue.send(mbufs, count);
  if (needs_wakeup(queue.tx_)) return queue.kick_one();
  queue.count_taken(1);
  return 1;
}

POLLUX_NOINLINE std::uint32_t XdpTxQueue::send(Mbuf* const* mbufs, std::uint32_t count) noexcept {
  const std::uint32_t freed = reclaim();
  const std::uint32_t taken = put(mbufs, count);
  submit(tx_);
  if (needs_wakeup(tx_)) kick();
  count_taken(taken);
  return mbufs == nullptr ? freed : taken;  // null: tx_done_cleanup
}

void XdpTxQueue::open() noexcept {
  if (taken_ != nullptr) return open_bursts(&burst_copied);
  wakes_driver_ ? open_bursts(&burst_and_wake) : TxQueueDriver::open();
}

// With busy polling, sendto runs what polls the queue's receiving half, and wakes nothing (Linux, net/xdp/xsk.c,
// xsk_no_wakeup). That sends only if the driver has both halves of a queue on one interrupt; igb has two for few
// queues. poll wakes the driver.
std::uint32_t XdpTxQueue::burst_and_wake(TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  auto& queue = static_cast<XdpTxQueue&>(base);
  const std::uint32_t done = queue.send(mbufs, count);
  if (needs_wakeup(queue.tx_) && consumed(queue.tx_) != queue.tx_.own) {
    pollfd sending{.fd = queue.socket_, .events = POLLOUT, .revents = 0};
    static_cast<void>(::poll(&sending, 1, 0));
  }
  return done;
}

POLLUX_NOINLINE void XdpTxQueue::kick() noexcept {
  kicked_ = consumed(tx_);
  while (kicked_ != tx_.own && kick_once()) {
  }
}

POLLUX_NOINLINE std::uint32_t XdpTxQueue::kick_one() noexcept {
  kicked_ = consumed(tx_);
  if (kick_once()) kick();
  count_taken(1);
  return 1;
}

// The kernel sends a few frames a call, and ends a call at a frame that the driver does not take: EBUSY if that frame
// is lost, EAGAIN if it is tried again (Linux, net/xdp/xsk.c, __xsk_generic_xmit).
POLLUX_ALWAYS_INLINE bool XdpTxQueue::kick_once() noexcept {
  return ::sendto(socket_, nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 && has_sent(errno);
}

POLLUX_NOINLINE bool XdpTxQueue::has_sent(int error) noexcept {
  const std::uint32_t after = consumed(tx_);
  if (after == std::exchange(kicked_, after)) {
    if (error != EAGAIN) add_to(refused_, 1);
    return false;
  }
  if (error == EBUSY) count_lost(after, &TxDrops::write_failed);
  return true;
}

// The frame that ends before `end` in the ring was counted as sent, but was lost.
void XdpTxQueue::count_lost(std::uint32_t end, TxDrop why) noexcept {
  std::uint32_t bytes = tx_.at(--end).len;
  for (; (tx_.at(end - 1).options & kContinues) != 0 && bytes < limits().max_frame; --end) bytes += tx_.at(end - 1).len;
  count_unsent(bytes, why);
}

// Frames are taken once those are counted as lost that the kernel took from the ring and did not send.
bool XdpTxQueue::has_unsent(const TxSent& counted) const noexcept {
  if (tx_.producer == nullptr) return false;
  return !is_between_bursts(counted) || consumed(tx_) != __atomic_load_n(tx_.producer, __ATOMIC_ACQUIRE);
}

void XdpTxQueue::finish() noexcept {
  SteadyClock clock;  // as for Socket::bind
  static_cast<void>(wait_until(clock, "sending", std::chrono::milliseconds(50), [&] {
    kick();
    static_cast<void>(reclaim_any());
    return in_flight_ == 0;
  }));
}

void XdpTxQueue::count_unsent_frames() noexcept {
  std::uint32_t end = consumed(tx_);
  while (end != tx_.own) {
    while ((tx_.at(end).options & kContinues) != 0) ++end;
    count_lost(++end, &TxDrops::stopped);
  }
}

std::uint32_t XdpTxQueue::detach() noexcept {
  copies_.reset();
  area_ = nullptr;
  if (taken_ != nullptr) borrowed_ = {};  // those are no mbufs
  taken_ = nullptr;
  free_ = {};
  publish(in_flight_, 0U);
  return free_all(borrowed_);
}

}  // namespace pollux::xdp
