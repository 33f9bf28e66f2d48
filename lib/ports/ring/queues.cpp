// SPDX-License-Identifier: BSD-3-Clause
#include "ports/ring/queues.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/compiler.hpp"
#include "mem/ownership.hpp"
#include "net/frame_size.hpp"

namespace pollux::ring {

void FrameRing::allocate() {
  if (!ring_) ring_.emplace(kMaxSlots);
}

POLLUX_NOINLINE void FrameRing::wake() noexcept {
  if (is_armed_.exchange(false)) wake_event_->raise();
}

namespace {

/// The destination address of a frame. Its first segment may be shorter than an address.
std::array<std::uint8_t, 6> destination_of(const Mbuf& frame) noexcept {
  std::array<std::uint8_t, 6> destination;
  if (frame.length() >= destination.size()) [[likely]] {
    std::memcpy(destination.data(), frame.data(), destination.size());
  } else {
    static_cast<void>(frame.copy_out(0, destination));
  }
  return destination;
}

/// The filter's settings during a burst, for frames of the most common kinds.
struct CommonFilter {
  explicit CommonFilter(const RxFilter& filter) noexcept
      : above(opaque(~RxFilter::kBroadcast)),  // a constant would be loaded again for each frame
        mac(filter.mac() | above),
        longest(filter.longest()),
        promiscuous(filter.promiscuous()) {}

  /// Whether a frame is received and is no multicast. Its first eight bytes are at `frame`. False does not mean that it
  /// is dropped.
  [[nodiscard]] POLLUX_ALWAYS_INLINE bool passes(const std::uint8_t* frame, std::uint32_t bytes) const noexcept {
    if (bytes > longest) return false;
    std::uint64_t address;
    std::memcpy(&address, frame, sizeof address);
    address |= above;
    return address == mac || address == ~std::uint64_t{0} || (promiscuous && (address & 1) == 0);
  }

  const std::uint64_t above;  ///< ones above an address
  const std::uint64_t mac;    ///< the address, with ones above it
  const std::uint32_t longest;
  const bool promiscuous;
};

bool is_shared(const Mbuf& frame) noexcept {
  for (const Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    if (segment->is_shared()) return true;
  }
  return false;
}

}  // namespace

// The mbuf to return for a frame: the frame itself, or a copy if its bytes are shared. nullptr if the copy failed.
Mbuf* RingRxQueue::receive(Mbuf& frame) noexcept {
  if (!is_shared(frame)) [[likely]] {
    MbufAccess::set_port(frame, port());
    return &frame;
  }
  MbufPtr own = copy(frame);
  if (own != nullptr) give_back(frame);
  return own.release();
}

// Receives one frame. Returns null with `is_done` if it was dropped, or without it if there is no mbuf for a copy.
POLLUX_NOINLINE Mbuf* RingRxQueue::receive_slow(Mbuf& frame, bool& is_done) noexcept {
  const auto destination = destination_of(frame);
  const std::uint32_t bytes = frame.packet_length();
  is_done = true;
  if (const RxDrop why = filter().drop_reason(destination.data(), bytes)) {
    drop(why, destination.data(), bytes);
    give_back(frame);
    return nullptr;
  }
  Mbuf* const own = receive(frame);
  is_done = own != nullptr;
  if (is_done) count_arrival(destination.data(), bytes);
  return own;
}

// Marks the frames at the front of `frames` that need nothing else. A direct, single-segment mbuf, which the sender's
// check has found to hold an Ethernet header, needs no look at its chain or its sharers.
POLLUX_ALWAYS_INLINE RingRxQueue::CommonRun RingRxQueue::receive_common(std::span<Mbuf* const> frames) const noexcept {
  const CommonFilter filter(this->filter());
  const std::uint16_t origin = port();
  if (origin > Mbuf::kNoPort) __builtin_unreachable();  // `setup` has seen to that; so set_port need not, each time
  std::uint64_t bytes = 0;
  // Frames are counted by the iterator, so that the loop's values fit into registers.
  auto at = frames.begin();
  for (; at != frames.end(); ++at) {
    Mbuf& frame = **at;
    const std::uint32_t length = frame.length();
    if (MbufAccess::special(frame) != 0 || !filter.passes(frame.data(), length)) break;
    MbufAccess::set_port(frame, origin);
    bytes += length;
  }
  return {.frames = static_cast<std::uint32_t>(at - frames.begin()), .bytes = bytes};
}

std::uint32_t RingRxQueue::burst(RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  auto& queue = static_cast<RingRxQueue&>(base);
  // Dropped frames count towards the limit, too.
  const std::uint32_t most = queue.ring_.peek({out, limit});
  std::uint32_t received = 0;
  std::uint32_t taken = 0;
  while (taken < most) {
    const CommonRun run = queue.receive_common({out + taken, most - taken});
    if (run.frames != 0) {
      queue.count_arrivals(run.frames, run.bytes);
      if (received != taken) std::copy_n(out + taken, run.frames, out + received);
      taken += run.frames;
      received += run.frames;
      if (taken == most) break;
    }
    bool is_done = false;
    Mbuf* const own = queue.receive_slow(*out[taken], is_done);
    if (!is_done) break;
    if (own != nullptr) out[received++] = own;
    ++taken;
  }
  if (taken != 0) queue.ring_.discard(taken);
  queue.count_returned(received);
  return received;
}

// The sender stores a frame and reads the flag without a fence between the two. So this thread pays for the barrier:
// after it either the frame is visible here, or the sender sees the flag.
bool RingRxQueue::watch() noexcept {
  ring_.arm();
  barrier_on_all_threads(clock_);
  return ring_.is_empty();
}

void RingRxQueue::drain() noexcept {
  ring_.drain(
      [this](const Mbuf& frame) { drop(&RxDrops::stopped, destination_of(frame).data(), frame.packet_length()); });
}

// The frames at the front of `frames`, at most `most`, that are direct, single-segment mbufs of the cache's pool, and
// long enough. As on cards' fast path, one comparison covers length, pool and `special`.
POLLUX_ALWAYS_INLINE RingTxQueue::PlainRun RingTxQueue::plain_run(Mbuf* const* frames,
                                                                  std::uint32_t most) const noexcept {
  constexpr std::uint32_t kMaxExcess = std::numeric_limits<std::uint16_t>::max() - kEthernetHeaderBytes;
  const std::uint32_t shortest = this->shortest();
  std::uint64_t bytes = 0;
  // Frames are counted by the pointer: a counter beside it would take another register, and an instruction a frame.
  Mbuf* const* at = frames;
  for (Mbuf* const* const end = frames + most; at != end; ++at) {
    Mbuf* const frame = *at;
    if (ownership::kChecked && (frame == nullptr || !ownership::is_allocated(*frame, context()))) break;
    const std::uint32_t excess = static_cast<std::uint32_t>(MbufAccess::word(*frame)) - shortest;
    if (excess > kMaxExcess) break;
    bytes += excess;
  }
  const auto count = static_cast<std::uint32_t>(at - frames);
  return {.frames = count, .bytes = bytes + std::uint64_t{count} * kEthernetHeaderBytes};
}

// Enqueues or drops one frame that is not plain. Returns whether it is in the ring.
POLLUX_NOINLINE bool RingTxQueue::send_slow(Mbuf* frame, bool is_open) noexcept {
  if (reject(frame)) return false;
  if (!is_open) {
    drop(*frame, &TxDrops::no_receiver);
    return false;
  }
  count_sent(frame->packet_length());
  ring_.put({&frame, 1});
  return true;
}

std::uint32_t RingTxQueue::burst(TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  auto& queue = static_cast<RingTxQueue&>(base);
  FrameRing::Room room = queue.ring_.room(count);
  std::uint32_t taken = 0;
  while (taken < count) {
    const PlainRun run = queue.plain_run(mbufs + taken, std::min(count - taken, room.frames));
    if (run.frames != 0) {
      queue.count_sent(run.bytes, run.frames);
      queue.ring_.put({mbufs + taken, run.frames});
      taken += run.frames;
      room.frames -= run.frames;
      if (taken == count) break;
    }
    if (room.is_open && room.frames == 0) break;
    if (queue.send_slow(mbufs[taken], room.is_open)) --room.frames;
    ++taken;
  }
  queue.ring_.wake_if_armed();
  queue.count_taken(taken);
  return taken;
}

}  // namespace pollux::ring
