// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/queues.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "net/queue_event.hpp"

namespace pollux::xdp {
namespace {

constexpr Site kSite{"an AF_XDP receive queue", 0};

FileDescriptor watch_for(int descriptor) noexcept {
  FileDescriptor sources(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event wanted{};
  wanted.events = EPOLLIN;
  static_cast<void>(::epoll_ctl(sources.get(), EPOLL_CTL_ADD, descriptor, &wanted));
  return sources;
}

}  // namespace

RxQueue::RxQueue(const RxFilter& filter, DeletionWatch& watch)
    : pollux::RxQueue(&burst, &filter), watch_(watch), sources_(watch_for(watch.descriptor())) {
  allow_sleeping(sources_.get());
}

void RxQueue::attach(Socket& socket, const Umem& area, std::vector<Mbuf*>& mbufs, bool busy) {
  lend_from(lent_, area, area.layout().before);
  rx_ = socket.rx;
  fill_ = socket.fill;
  socket_ = socket.descriptor();
  busy_ = busy;
  posted_ = 0;
  is_small_ = area.layout().before != 0;
  outside_.reserve(area.layout().before / alignof(Mbuf));
  const std::uint64_t offset = pool()->data_offset() + Mbuf::kHeaderSize + area.layout().before;
  word_ = pool()->empty_word(RxFormat::none, port()) - (offset << MbufAccess::kOffsetShift);
  add(mbufs);
  std::erase_if(mbufs, [this](const Mbuf* mbuf) { return is_outside(mbuf); });
  epoll_event wanted{};
  wanted.events = EPOLLIN;
  static_cast<void>(::epoll_ctl(sources_.get(), EPOLL_CTL_ADD, socket_, &wanted));
}

void RxQueue::add(std::span<Mbuf* const> mbufs) noexcept {
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

void RxQueue::set_aside(MempoolCacheCore& cache, std::uint32_t count) noexcept {
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

POLLUX_ALWAYS_INLINE void RxQueue::post(Mbuf& mbuf) noexcept {
  MbufAccess::stamp(mbuf, kSite);
  fill_.at(fill_.own++) = lent_.lend(mbuf);
}

void RxQueue::wake_kernel() const noexcept {
  static_cast<void>(::recvfrom(socket_, nullptr, 0, MSG_DONTWAIT, nullptr, nullptr));
}

// What the kernel says about a frame that it has written is trusted: it writes where it likes.
POLLUX_ALWAYS_INLINE void RxQueue::set_received(Mbuf& mbuf, const xdp_desc& frame) const noexcept {
  const std::uint64_t offset = frame.addr >> XSK_UNALIGNED_BUF_OFFSET_SHIFT;
  MbufAccess::set_word(mbuf, word_ + (offset << MbufAccess::kOffsetShift) + frame.len);
}

std::uint32_t RxQueue::burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  auto& queue = static_cast<RxQueue&>(base);
  const std::uint32_t count = std::min(limit, waiting(queue.rx_, limit));
  if (count == 0) {
    if (queue.busy_ || needs_wakeup(queue.fill_)) [[unlikely]]
      queue.wake_kernel();
    return 0;
  }
  MempoolCacheCore& cache = *queue.cache_;
  if (cache.count() < count) [[unlikely]]
    cache.refill(count);
  if (queue.is_small_) [[unlikely]]
    queue.set_aside(cache, count);
  Mbuf* const* spare = cache.objects();
  Mbuf* const* const end = spare + std::min(count, cache.count());
  std::uint32_t received = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const xdp_desc frame = queue.rx_.at(queue.rx_.own++);
    Mbuf* const mbuf = queue.lent_.take_back(frame.addr);
    if (mbuf == nullptr) [[unlikely]] {
      queue.count_error();
      continue;
    }
    Mbuf* replacement = spare != end ? *spare : nullptr;
    if ((frame.options & kContinues) != 0 || queue.chain_.bytes != 0 || replacement == nullptr) [[unlikely]] {
      Mbuf* const whole = queue.receive_slow(frame, *mbuf, replacement);
      if (replacement == nullptr && spare != end) ++spare;
      if (whole != nullptr) out[received++] = whole;
      continue;
    }
    queue.set_received(*mbuf, frame);
    if (queue.admit(mbuf->data(), frame.len)) [[likely]] {
      out[received++] = mbuf;
      queue.post(*replacement);
      ++spare;
    } else {
      queue.post(*mbuf);
    }
  }
  cache.set_first(cache.first + static_cast<std::uint32_t>(spare - cache.objects()));
  release(queue.rx_);
  submit(queue.fill_);
  if (needs_wakeup(queue.fill_)) [[unlikely]]
    queue.wake_kernel();
  queue.count_returned(received);
  return received;
}

POLLUX_NOINLINE Mbuf* RxQueue::receive_slow(const xdp_desc& piece, Mbuf& mbuf, Mbuf*& replacement) noexcept {
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

// A frame that has come wakes the thread by the socket, and so does the deletion of the interface.
bool RxQueue::watch() noexcept { return watch_closed() && (watch_.is_deleted() || waiting(rx_, 1) == 0); }

// After a deletion nothing else is worth waiting for.
bool RxQueue::watch_closed() noexcept {
  watch_.check();
  if (watch_.is_deleted()) event()->set_source(-1);
  return true;
}

void RxQueue::drop_waiting() noexcept {
  for (std::uint32_t left = waiting(rx_, ~std::uint32_t{0}); left != 0; --left) {
    const xdp_desc piece = rx_.at(rx_.own++);
    Mbuf* const mbuf = lent_.take_back(piece.addr);
    if (mbuf == nullptr) continue;
    static_cast<void>(lent_.lend(*mbuf));  // detach frees it
    set_received(*mbuf, piece);
    if (chain_.bytes == 0) std::copy_n(mbuf->data(), chain_.destination.size(), chain_.destination.begin());
    chain_.bytes += piece.len;
    if ((piece.options & kContinues) != 0) continue;
    drop(&RxDrops::stopped, chain_.destination.data(), chain_.bytes);
    chain_ = {};
  }
  chain_ = {};
}

std::uint32_t RxQueue::detach() noexcept {
  posted_ = 0;
  for (Mbuf* const mbuf : std::exchange(outside_, {})) MbufDeleter{}(mbuf);
  return free_all(lent_);
}

}  // namespace pollux::xdp
