// SPDX-License-Identifier: BSD-3-Clause
// Queues that were another program's, in whose memory the kernel has its buffers: see TakenMemory.
#include <algorithm>
#include <cstring>
#include <utility>

#include "pollux/net/checksum_offload.hpp"
#include "ports/xdp/bpf/hints.hpp"
#include "ports/xdp/kept_memory.hpp"
#include "ports/xdp/queues.hpp"

namespace pollux::xdp {

void XdpRxQueue::take(const Rings& rings, int socket, std::shared_ptr<const TakenMemory> memory, std::uint32_t posted,
                      const RxModes& modes) {
  rx_ = rings.rx;
  fill_ = rings.fill;
  continue_reading(rx_);
  continue_writing(fill_);
  socket_ = socket;
  modes_ = modes;
  posted_ = posted;
  taken_ = std::move(memory);
  wakes_by_socket_ = false;
}

void XdpRxQueue::open() noexcept {
  RxQueueDriver::open();
  if (taken_ != nullptr) open_bursts(&burst_copied);
}

std::uint32_t XdpRxQueue::burst_copied(RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  auto& queue = static_cast<XdpRxQueue&>(base);
  const std::uint32_t count = std::min(limit, waiting(queue.rx_));
  if (count == 0) {
    if (queue.modes_.busy || needs_wakeup(queue.fill_)) queue.wake_kernel();
    return 0;
  }
  Mbuf** next = out;
  // The kernel passes the pieces of a frame on together. A successor begins at a frame, so no burst ends within one.
  for (std::uint32_t left = count; left != 0 || (queue.chain_.bytes != 0 && queue.rx_.own != queue.rx_.peer);
       left -= std::min(left, 1U)) {
    const xdp_desc piece = queue.rx_.at(queue.rx_.own++);
    if (Mbuf* const whole = queue.receive_copy(piece)) *next++ = whole;
    queue.fill_.at(queue.fill_.own++) = piece.addr & XSK_UNALIGNED_BUF_ADDR_MASK;
  }
  release(queue.rx_);
  submit(queue.fill_);
  const auto received = static_cast<std::uint32_t>(next - out);
  queue.count_returned(received);
  return received;
}

MbufPtr XdpRxQueue::copy_piece(const std::byte* data, std::uint32_t bytes) noexcept {
  MbufPtr own = copy({reinterpret_cast<const std::uint8_t*>(data), bytes});
  if (own == nullptr || !modes_.hints || chain_.bytes != 0) return own;
  std::memcpy(own->data() - sizeof(HintRecord), data - sizeof(HintRecord), sizeof(HintRecord));
  attach_hints(*own);
  return own;
}

Mbuf* XdpRxQueue::receive_copy(const xdp_desc& piece) noexcept {
  const std::uint8_t* const data = taken_->data_of(piece);
  MbufPtr part = copy_piece(reinterpret_cast<const std::byte*>(data), piece.len);
  if (chain_.bytes == 0) std::copy_n(data, chain_.destination.size(), chain_.destination.begin());
  chain_.bytes += piece.len;
  if (part == nullptr) {
    chain_.why = &RxDrops::pool_empty;
  } else if (chain_.frame == nullptr) {
    chain_.frame = std::move(part);
  } else if (!chain_.frame->chain(part)) {
    chain_.why = &RxDrops::too_many_segments;
  }
  if ((piece.options & kContinues) != 0) return nullptr;
  Chain done = std::exchange(chain_, {});
  if (done.why != nullptr) {
    drop(done.why, done.destination.data(), done.bytes);
    return nullptr;
  }
  return admit(done.destination.data(), done.bytes) ? done.frame.release() : nullptr;
}

bool XdpTxQueue::take(const Rings& rings, int socket, std::shared_ptr<const TakenMemory> memory,
                      const handover::QueueRecord& queue, std::uint32_t max_segments, std::uint8_t* marks) {
  const auto is_there = [&](std::uint64_t address) { return memory->has_buffer(address); };
  if (!std::ranges::all_of(queue.free, is_there) || !std::ranges::all_of(queue.given, is_there)) return false;
  borrowed_.reset(memory->first(), memory->place().bytes);
  for (const std::uint64_t address : queue.given)
    static_cast<void>(borrowed_.add(*reinterpret_cast<Mbuf*>(borrowed_.area + address), BorrowedMbufs::Kind::other));
  tx_ = rings.tx;
  completion_ = rings.completion;
  continue_writing(tx_);
  continue_reading(completion_);
  socket_ = socket;
  publish(in_flight_, queue.in_flight);
  forget_mark(tx_.own);
  max_segments_ = max_segments;
  free_ = queue.free;
  free_.reserve(queue.free.size() + queue.given.size());
  taken_ = std::move(memory);
  marks_ = marks;
  return true;
}

// In this order with what is stored before: KeptMemory::recover.
void XdpTxQueue::mark(std::uint64_t address, std::uint8_t value) const noexcept {
  if (marks_ != nullptr) __atomic_store_n(&marks_[address / KeptMemory::kBuffer], value, __ATOMIC_RELEASE);
}

// Mbufs that are in flight are the program's that had the queue first: when the kernel returns one, it stays where it
// is. So what a successor sends from are always the same buffers.
handover::QueueRecord XdpTxQueue::freeze(std::span<Mbuf* const> fresh) {
  handover::QueueRecord queue;
  static_cast<void>(reclaim_any());
  queue.in_flight = in_flight_;
  for (Mbuf* const mbuf : fresh)
    queue.free.push_back(static_cast<std::uint64_t>(reinterpret_cast<std::byte*>(mbuf) - borrowed_.area));
  if (taken_ == nullptr) return queue;
  queue.free = free_;
  BorrowedMbufs copy = borrowed_;
  copy.marks = copy.all_marks.data();
  copy.remove_all([&](Mbuf& buffer) {
    queue.given.push_back(static_cast<std::uint64_t>(reinterpret_cast<std::byte*>(&buffer) - borrowed_.area));
  });
  return queue;
}

std::uint32_t XdpTxQueue::burst_copied(TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  auto& queue = static_cast<XdpTxQueue&>(base);
  const std::uint32_t freed = queue.reclaim_copies();
  std::uint32_t taken = 0;
  while (taken < count && queue.send_copy(mbufs[taken])) ++taken;
  submit(queue.tx_);
  if (needs_wakeup(queue.tx_)) queue.kick();
  queue.count_taken(taken);
  return mbufs == nullptr ? freed : taken;  // null: tx_done_cleanup
}

std::uint32_t XdpTxQueue::reclaim_copies() noexcept {
  const std::uint32_t count = waiting(completion_);
  for (std::uint32_t left = count; left != 0; --left) {
    Mbuf* const buffer = borrowed_.remove(completion_.at(completion_.own++));
    if (buffer == nullptr) continue;
    free_.push_back(static_cast<std::uint64_t>(reinterpret_cast<std::byte*>(buffer) - borrowed_.area));
    mark(free_.back(), 0);
  }
  release(completion_);
  publish(in_flight_, in_flight_ - std::min(count, in_flight_));
  note_sent(consumed(tx_), tx_.own);
  return count;
}

bool XdpTxQueue::send_copy(Mbuf* frame) noexcept {
  if (in_flight_ >= limit_) return false;
  if (reject(frame)) return true;
  switch (complete_checksums(*frame)) {
    case ChecksumCompletion::complete: break;
    case ChecksumCompletion::bad_request: drop(*frame, &TxDrops::bad_offload); return true;
    case ChecksumCompletion::shared_data: drop(*frame, &TxDrops::shared_checksum); return true;
  }
  const MemoryPlace& place = taken_->place();
  const std::uint32_t bytes = frame->packet_length();
  const auto pieces = static_cast<std::uint32_t>((bytes + place.room - 1) / place.room);
  if (pieces > std::min(max_segments_, limit_)) {
    drop(*frame, &TxDrops::too_many_segments);
    return true;
  }
  if (pieces > limit_ - in_flight_ || pieces > free_.size()) return false;
  for (std::uint32_t at = 0; at < bytes;) {
    const std::uint64_t address = free_.back();
    free_.pop_back();
    const auto part = static_cast<std::uint32_t>(std::min<std::uint64_t>(place.room, bytes - at));
    std::byte* const buffer = borrowed_.area + address;
    static_cast<void>(frame->copy_out(at, {reinterpret_cast<std::uint8_t*>(buffer + place.data), part}));
    static_cast<void>(borrowed_.add(*reinterpret_cast<Mbuf*>(buffer), BorrowedMbufs::Kind::other));
    at += part;
    tx_.at(tx_.own++) = {.addr = address | place.data << XSK_UNALIGNED_BUF_OFFSET_SHIFT,
                         .len = part,
                         .options = at < bytes ? kContinues : 0};
    mark(address, 1);
    publish(in_flight_, in_flight_ + 1);
  }
  count_sent(bytes);
  add_to(copied_, 1);
  give_back(*frame);
  return true;
}

}  // namespace pollux::xdp
