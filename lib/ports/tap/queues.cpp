// SPDX-License-Identifier: BSD-3-Clause
#include "ports/tap/queues.hpp"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

namespace pollux::tap {
namespace {

constexpr std::array<std::uint8_t, 6> kNoDestination{};

}  // namespace

void RxQueue::give_back_from(std::size_t first) noexcept {
  for (std::size_t i = first; i < reserved_; ++i) give_back(*segments_[i]);
  reserved_ = 0;
}

// Takes as many mbufs as `bytes` need. False, with none taken, if the pool is dry.
bool RxQueue::reserve(std::uint32_t bytes) noexcept {
  for (std::uint32_t room = 0; room < bytes;) {
    Mbuf* const segment = reserved_ < kMaxSegments ? allocate() : nullptr;
    if (segment == nullptr) {
      give_back_from(0);
      return false;
    }
    segments_[reserved_++] = segment;
    room += segment->tailroom();
  }
  return true;
}

// Bytes of the frame that was read; none: 0.
std::int64_t RxQueue::read_frame() noexcept {
  std::array<iovec, kMaxSegments + 1> pieces;
  for (std::size_t i = 0; i < reserved_; ++i) {
    pieces[i] = {.iov_base = segments_[i]->data(), .iov_len = segments_[i]->tailroom()};
  }
  // The kernel cuts a frame that does not fit and does not say so.
  pieces[reserved_] = {.iov_base = beyond_.data(), .iov_len = beyond_.size()};
  const auto bytes = ::readv(descriptor_, pieces.data(), static_cast<int>(reserved_ + 1));
  if (bytes >= 0) return bytes;
  // The file goes on without its interface (Linux, drivers/net/tun.c, tun_chr_read_iter: EBADFD).
  if (errno == EBADFD) gone_.store(true, std::memory_order_relaxed);
  return 0;
}

// Makes a frame of the first `bytes` that were read; mbufs that it does not need go back.
MbufPtr RxQueue::join(std::uint32_t bytes) noexcept {
  MbufPtr frame;
  std::size_t used = 0;
  for (std::uint32_t left = bytes; left != 0; ++used) {
    MbufPtr segment(segments_[used]);
    const std::uint32_t part = std::min(left, segment->tailroom());
    MbufAccess::data_length(*segment) = static_cast<std::uint16_t>(part);
    left -= part;
    if (frame == nullptr) {
      frame = std::move(segment);
    } else {
      static_cast<void>(frame->chain(segment));  // 255 segments at most, and all of them are ours
    }
  }
  give_back_from(used);
  return frame;
}

std::uint32_t RxQueue::burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  auto& queue = static_cast<RxQueue&>(base);
  std::uint32_t received = 0;
  // Frames that are dropped count for the bound of a call, too.
  for (std::uint32_t reads = 0; reads < limit; ++reads) {
    const std::uint32_t longest = queue.rules().longest();
    if (!queue.reserve(longest)) break;
    const auto bytes = static_cast<std::uint32_t>(queue.read_frame());
    const std::uint8_t* const start = queue.segments_[0]->data();
    if (bytes < kEthernetHeaderBytes) {
      queue.give_back_from(0);
      if (bytes == 0) break;
      queue.drop(ports::RxDrop::too_short, kNoDestination.data(), bytes);
    } else if (!queue.admit(start, bytes)) {
      queue.give_back_from(0);
    } else {
      out[received++] = queue.join(bytes).release();
    }
  }
  queue.count_handed_out(received);
  return received;
}

void RxQueue::drain() noexcept {
  constexpr int kMostFrames = 4096;  // more than the kernel queues; with a carrier that stays on it ends nevertheless
  std::vector<std::uint8_t> frame(65536);
  for (int i = 0; i < kMostFrames; ++i) {
    iovec piece{.iov_base = frame.data(), .iov_len = frame.size()};
    const auto bytes = ::readv(descriptor_, &piece, 1);
    if (bytes <= 0) return;
    drop(ports::RxDrop::stopped, frame.data(), static_cast<std::uint32_t>(bytes));
  }
}

// 0, or errno.
int TxQueue::write_frame(Mbuf& frame) noexcept {
  std::array<iovec, 256> pieces;
  int count = 0;
  for (Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    pieces[static_cast<std::size_t>(count++)] = {.iov_base = segment->data(), .iov_len = segment->length()};
  }
  return ::writev(descriptor_, pieces.data(), count) >= 0 ? 0 : errno;
}

std::uint32_t TxQueue::burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  auto& queue = static_cast<TxQueue&>(base);
  std::uint32_t taken = 0;
  for (; taken < count; ++taken) {
    Mbuf& frame = *mbufs[taken];
    if (queue.refuse(mbufs[taken])) continue;
    const std::uint32_t bytes = frame.packet_length();
    const int error = queue.write_frame(frame);
    if (error == EAGAIN) break;
    if (error == 0) {
      queue.count_sent(bytes);
      queue.give_back(frame);
    } else {
      // EIO: the interface is down (Linux, drivers/net/tun.c, tun_get_user).
      queue.drop(frame, error == EIO ? ports::TxDrop::no_receiver : ports::TxDrop::write_failed);
    }
  }
  queue.count_taken(taken);
  return taken;
}

}  // namespace pollux::tap
