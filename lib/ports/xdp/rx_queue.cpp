// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/queues.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "net/queue_event.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "ports/xdp/bpf/hints.hpp"

namespace pollux::xdp {
namespace {

constexpr Site kSite{"an AF_XDP receive queue", 0};

}  // namespace

XdpRxQueue::XdpRxQueue(const RxFilter& filter, DeletionNotifier& deletion)
    : RxQueueDriver(&burst, &filter), deletion_(deletion) {
  allow_sleeping(deletion.descriptor());
}

void XdpRxQueue::attach(const Rings& rings, int socket, const Umem& area, std::vector<Mbuf*>& mbufs,
                        const RxModes& modes) {
  const std::uint32_t before = area.layout().before;
  borrowed_.reset(area.first() + before, area.bytes() - before);
  rx_ = rings.rx;
  fill_ = rings.fill;
  socket_ = socket;
  modes_ = modes;
  posted_ = 0;
  is_small_ = before != 0;
  may_be_plain_ = !is_small_ && !modes.hints;
  outside_.reserve(before / alignof(Mbuf));
  const auto data = static_cast<std::uint32_t>(Mbuf::kHeaderSize) + pool()->data_offset();
  plain_ = {.offset = std::uint64_t{data + before} << XSK_UNALIGNED_BUF_OFFSET_SHIFT,
            .data = data,
            .word = pool()->empty_word(RxFormat::none, port())};
  add(mbufs);
  std::erase_if(mbufs, [this](const Mbuf* mbuf) { return is_outside(mbuf); });
  wakes_by_socket_ = false;
}

void XdpRxQueue::add(std::span<Mbuf* const> mbufs) noexcept {
  for (Mbuf* const mbuf : mbufs) {
    if (is_outside(mbuf)) {
      MbufAccess::stamp(*mbuf, kSite);
      MbufDeleter{}(mbuf);
      continue;
    }
    post(*mbuf);
    ++posted_;
  }
  submit(fill_);
}

void XdpRxQueue::set_aside(MempoolCacheCore& cache, std::uint32_t count) noexcept {
  Mbuf** const objects = cache.objects();
  std::uint32_t removed = 0;
  for (std::uint32_t i = 0; i < std::min(count + removed, cache.count()); ++i) {
    if (!is_outside(objects[i])) continue;
    MbufAccess::stamp(*objects[i], kSite);
    outside_.push_back(objects[i]);
    objects[i] = objects[removed++];
  }
  cache.set_first(cache.first + removed);
}

void XdpRxQueue::post(Mbuf& mbuf) noexcept {
  MbufAccess::stamp(mbuf, kSite);
  fill_.at(fill_.own++) = borrowed_.add(mbuf, BorrowedMbufs::Kind::plain);
}

// The kernel asks for a call when the card's ring has room for more mbufs than were posted. While frames arrive, it
// runs without being called, and takes what was posted since: so an empty burst calls it, and a thread that will sleep.
POLLUX_NOINLINE void XdpRxQueue::wake_kernel() const noexcept {
  static_cast<void>(::recvfrom(socket_, nullptr, 0, MSG_DONTWAIT, nullptr, nullptr));
}

// What the kernel says about a frame that it has written is trusted: it writes where it likes.
void XdpRxQueue::set_received(Mbuf& mbuf, const xdp_desc& frame) const noexcept {
  // Signed: the frame may begin before that of an empty mbuf.
  const std::int64_t moved = static_cast<std::int64_t>(frame.addr - plain_.offset) >> XSK_UNALIGNED_BUF_OFFSET_SHIFT;
  MbufAccess::set_word(mbuf, plain_.word + (static_cast<std::uint64_t>(moved) << MbufAccess::kOffsetShift) + frame.len);
  if (modes_.hints && chain_.bytes == 0) attach_hints(mbuf);
}

void XdpRxQueue::attach_hints(Mbuf& mbuf) noexcept {
  HintRecord record;
  std::memcpy(&record, mbuf.data() - sizeof record, sizeof record);
  SoftwareRxMetadata metadata;
  if ((record.hints & Hint::hash) != 0) metadata.rss_hash = record.hash;
  if ((record.hints & Hint::vlan) != 0) metadata.vlan = record.vlan;
  metadata.attach_to(mbuf);
}

/// What of a filter decides whether a frame needs no further look at it, read once for many frames.
struct XdpRxQueue::Wanted {
  explicit Wanted(const RxFilter& filter) noexcept
      : mac_(filter.mac()), compared_(filter.compared()), longest_(filter.longest()) {}

  [[nodiscard]] std::uint64_t mac() const noexcept { return mac_; }
  [[nodiscard]] std::uint64_t compared() const noexcept { return compared_; }
  [[nodiscard]] std::uint64_t longest() const noexcept { return longest_; }

 private:
  std::uint64_t mac_;
  std::uint64_t compared_;
  std::uint64_t longest_;
};

/// Takes a plain frame back from the kernel. Returns false, with nothing changed, if the frame is not plain. `wanted`:
/// an RxFilter, or the Wanted of many frames.
template <class Filter>
POLLUX_ALWAYS_INLINE bool XdpRxQueue::take_plain(const BorrowedPlaces& places, const std::uint64_t& data,
                                                 const Filter& wanted, const xdp_desc& frame, Mbuf*& out,
                                                 std::uint64_t& bytes) noexcept {
  const std::uint64_t distance = frame.addr - plain_.offset;
  const std::uint64_t line = BorrowedMbufs::line(distance);
  if (line >= borrowed_.lines) [[unlikely]]
    return false;
  std::uint8_t& mark = places.marks[BorrowedMbufs::block_of(line)];
  std::uint64_t length = 0;  // and in the upper half the options
  std::memcpy(&length, &frame.len, sizeof length);
  if (mark != BorrowedMbufs::mark(distance, BorrowedMbufs::Kind::plain) || length > wanted.longest()) [[unlikely]]
    return false;
  std::uint64_t destination = 0;
  std::byte* const start = places.area + distance;
  std::memcpy(&destination, start + data, sizeof destination);
  if (((destination ^ wanted.mac()) & wanted.compared()) != 0 && !RxFilter::is_broadcast(destination)) [[unlikely]] {
    if (!RxFilter::is_group(destination) || !filter().takes_multicasts()) return false;
    count_multicast();
  }
  Mbuf* const mbuf = reinterpret_cast<Mbuf*>(start);
  mark = BorrowedMbufs::kNone;
  MbufAccess::set_word(*mbuf, plain_.word + length);
  bytes += length;
  out = mbuf;
  return true;
}

/// As post, with a slot of the fill ring.
POLLUX_ALWAYS_INLINE void XdpRxQueue::post_at(const BorrowedPlaces& places, Mbuf& mbuf, std::uint64_t& slot) noexcept {
  MbufAccess::stamp(mbuf, kSite);
  const auto distance = static_cast<std::uint64_t>(reinterpret_cast<std::byte*>(&mbuf) - places.area);
  slot = distance;
  places.marks[distance / BorrowedMbufs::kBlock] = BorrowedMbufs::mark(distance, BorrowedMbufs::Kind::plain);
}

std::uint32_t XdpRxQueue::burst(RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  auto& queue = static_cast<XdpRxQueue&>(base);
  FrameRing& rx = queue.rx_;
  const bool is_one = rx.peer - rx.own < limit ? waiting(rx) == 1 : limit == 1;
  if (!is_one || !queue.receive_one(*out)) return queue.receive(out, limit);
  queue.count_returned(1);
  return 1;
}

POLLUX_ALWAYS_INLINE bool XdpRxQueue::receive_one(Mbuf*& out) noexcept {
  if (cache_->first == MempoolCacheCore::kSlots || !may_be_plain_) [[unlikely]]
    return false;
  forget_memory();  // what follows is read only when it is needed, so that no registers have to be saved
  std::uint64_t bytes = 0;
  if (!take_plain(borrowed_, plain_.data, filter(), rx_.at(rx_.own), out, bytes)) return false;
  forget_memory();
  ++rx_.own;
  release(rx_);
  MempoolCacheCore& cache = *cache_;
  const std::uint32_t first = cache.first;
  const std::uint32_t posted = fill_.own;
  post_at(borrowed_, *cache.mbufs[first], fill_.at(posted));
  fill_.own = posted + 1;
  submit(fill_);
  cache.set_first(first + 1);
  count_arrivals(1, bytes);
  return true;
}

// Usually all are plain, and neither ring ends among them.
POLLUX_NOINLINE std::uint32_t XdpRxQueue::receive(Mbuf** out, std::uint32_t limit) noexcept {
  const std::uint32_t count = std::min(limit, rx_.peer - rx_.own);
  if (count == 0) {
    if (modes_.busy || needs_wakeup(fill_)) wake_kernel();
    return 0;
  }
  if (cache_->count() < count) [[unlikely]]
    cache_->refill(count);
  const std::uint32_t done = may_be_plain_ ? receive_run(out, std::min(count, cache_->count())) : 0;
  const std::uint32_t received = done == count ? done : done + receive_rest(out + done, count - done);
  release(rx_);
  submit(fill_);
  count_returned(received);
  return received;
}

/// Receives plain frames, up to the first other one or the end of a ring. Returns their number. Not inline: the loop
/// needs all registers.
POLLUX_HOT std::uint32_t XdpRxQueue::receive_run(Mbuf** out, std::uint32_t limit) noexcept {
  const std::uint32_t count = std::min({limit, rx_.until_end(), fill_.until_end()});
  const Wanted wanted(filter());
  const BorrowedPlaces places = borrowed_;
  Mbuf* const* const fresh = cache_->objects() + count;
  const xdp_desc* const frames_end = &rx_.at(rx_.own) + count;
  std::uint64_t* const slots = &fill_.at(fill_.own) + count;
  out += count;
  const std::uint64_t data = plain_.data;  // last: GCC 12 keeps in memory what it finds one register too few for
  std::uint64_t bytes = 0;
  std::intptr_t i = -2 * static_cast<std::intptr_t>(count);
  for (; i != 0; i += 2) {
    if (!take_plain(places, data, wanted, in_run(frames_end, i), in_run(out, i), bytes)) break;
    post_at(places, *in_run(fresh, i), in_run(slots, i));
  }
  const std::uint32_t done = count + static_cast<std::uint32_t>(i / 2);
  rx_.own += done;
  fill_.own += done;
  cache_->set_first(cache_->first + done);
  count_arrivals(done, bytes);
  return done;
}

POLLUX_NOINLINE std::uint32_t XdpRxQueue::receive_rest(Mbuf** out, std::uint32_t count) noexcept {
  MempoolCacheCore& cache = *cache_;
  if (is_small_) set_aside(cache, count);
  std::uint32_t spares = std::min(count, cache.count());
  Mbuf** next = out;
  for (std::uint32_t left = count; left != 0;) {
    const std::uint32_t done = chain_.bytes == 0 && !modes_.hints ? receive_run(next, std::min(left, spares)) : 0;
    spares -= done;
    left -= done;
    next += done;
    if (done != 0) continue;
    Mbuf* replacement = spares != 0 ? *cache.objects() : nullptr;
    Mbuf* const whole = receive_other(rx_.at(rx_.own++), replacement);
    if (whole != nullptr) *next++ = whole;
    if (spares != 0 && replacement == nullptr) {
      cache.set_first(cache.first + 1);
      --spares;
    }
    --left;
  }
  may_be_plain_ = !is_small_ && !modes_.hints && chain_.bytes == 0;
  return static_cast<std::uint32_t>(next - out);
}

POLLUX_NOINLINE Mbuf* XdpRxQueue::receive_other(const xdp_desc& piece, Mbuf*& replacement) noexcept {
  Mbuf* const mbuf = borrowed_.remove(piece.addr);
  if (mbuf == nullptr) {
    count_error();
    return nullptr;
  }
  if ((piece.options & kContinues) != 0 || chain_.bytes != 0 || replacement == nullptr)
    return receive_slow(piece, *mbuf, replacement);
  set_received(*mbuf, piece);
  const bool admitted = admit(mbuf->data(), piece.len);
  post(admitted ? *std::exchange(replacement, nullptr) : *mbuf);
  return admitted ? mbuf : nullptr;
}

Mbuf* XdpRxQueue::receive_slow(const xdp_desc& piece, Mbuf& mbuf, Mbuf*& replacement) noexcept {
  set_received(mbuf, piece);
  if (chain_.bytes == 0) std::copy_n(mbuf.data(), chain_.destination.size(), chain_.destination.begin());
  chain_.bytes += piece.len;
  if (chain_.why == nullptr && replacement == nullptr) {
    cache_->count_failure();
    chain_.why = &RxDrops::pool_empty;
  }
  if (chain_.why != nullptr) {
    post(mbuf);
  } else {
    post(*std::exchange(replacement, nullptr));
    MbufPtr part(&mbuf);
    if (chain_.frame == nullptr) {
      chain_.frame = std::move(part);
    } else if (!chain_.frame->chain(part)) {
      chain_.why = &RxDrops::too_many_segments;
    }
  }
  if ((piece.options & kContinues) != 0) return nullptr;
  Chain done = std::exchange(chain_, {});
  if (done.why != nullptr) {
    drop(done.why, done.destination.data(), done.bytes);
    return nullptr;
  }
  return admit(done.destination.data(), done.bytes) ? done.frame.release() : nullptr;
}

// A frame that has come wakes the thread by the socket, and so does the deletion of the interface. A socket in an
// epoll set costs the kernel two locks a frame, also while nobody sleeps, so it is not added before somebody does.
// An interface from which frames have come since the last time is not asked whether it was deleted, which would be a
// system call at each waking: if it was, the events are readable, and the thread comes back without a frame.
bool XdpRxQueue::watch() noexcept {
  wakes_by_socket_ = wakes_by_socket_ || event()->add_source(socket_);
  if (std::exchange(packets_before_, packets_) == packets_) static_cast<void>(watch_closed());
  if (needs_wakeup(fill_)) wake_kernel();
  return deletion_.is_deleted() || (wakes_by_socket_ && waiting(rx_) == 0);
}

// After a deletion nothing else is worth waiting for.
bool XdpRxQueue::watch_closed() noexcept {
  deletion_.check();
  if (deletion_.is_deleted()) event()->set_source(-1);
  return true;
}

void XdpRxQueue::drop_waiting() noexcept {
  if (taken_ != nullptr) {
    for (std::uint32_t left = waiting(rx_); left != 0; --left) {
      const xdp_desc piece = rx_.at(rx_.own++);
      if ((piece.options & kContinues) == 0) drop(&RxDrops::stopped, taken_->data_of(piece), piece.len);
    }
    chain_ = {};
    return;
  }
  for (std::uint32_t left = waiting(rx_); left != 0; --left) {
    const xdp_desc piece = rx_.at(rx_.own++);
    Mbuf* const mbuf = borrowed_.remove(piece.addr);
    if (mbuf == nullptr) continue;
    static_cast<void>(borrowed_.add(*mbuf, BorrowedMbufs::Kind::plain));  // detach frees it
    set_received(*mbuf, piece);
    if (chain_.bytes == 0) std::copy_n(mbuf->data(), chain_.destination.size(), chain_.destination.begin());
    chain_.bytes += piece.len;
    if ((piece.options & kContinues) != 0) continue;
    drop(&RxDrops::stopped, chain_.destination.data(), chain_.bytes);
    chain_ = {};
  }
  chain_ = {};
}

std::uint32_t XdpRxQueue::detach() noexcept {
  posted_ = 0;
  taken_ = nullptr;
  for (Mbuf* const mbuf : std::exchange(outside_, {})) MbufDeleter{}(mbuf);
  return free_all(borrowed_);
}

}  // namespace pollux::xdp
