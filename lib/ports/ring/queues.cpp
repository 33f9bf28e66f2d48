// SPDX-License-Identifier: BSD-3-Clause
#include "ports/ring/queues.hpp"

#include <array>
#include <cstring>
#include <utility>

namespace pollux::ring {
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

bool is_shared(const Mbuf& frame) noexcept {
  for (const Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    if (segment->is_shared()) return true;
  }
  return false;
}

}  // namespace

// The mbuf to return for a frame: the frame itself, or a copy if its bytes are shared. nullptr if the copy failed.
Mbuf* RxQueue::receive(Mbuf& frame) noexcept {
  if (!is_shared(frame)) [[likely]] {
    mark(frame);
    return &frame;
  }
  MbufPtr own = copy(frame);
  if (own != nullptr) give_back(frame);
  return own.release();
}

std::uint32_t RxQueue::burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  auto& queue = static_cast<RxQueue&>(base);
  // Dropped frames count towards the limit, too.
  const std::uint32_t most = queue.ring_.peek({out, limit});
  std::uint32_t taken = 0;
  std::uint32_t received = 0;
  for (; taken < most; ++taken) {
    Mbuf& frame = *out[taken];
    const auto destination = destination_of(frame);
    const std::uint32_t bytes = frame.packet_length();
    if (const auto why = queue.filter().drop_reason(destination.data(), bytes)) {
      queue.drop(*why, destination.data(), bytes);
      queue.give_back(frame);
      continue;
    }
    Mbuf* const own = queue.receive(frame);
    if (own == nullptr) break;
    queue.count_arrival(destination.data(), bytes);
    out[received++] = own;
  }
  if (taken != 0) queue.ring_.discard(taken);
  queue.count_handed_out(received);
  return received;
}

// The sender stores a frame and reads the flag without a fence between the two. So this thread pays for the barrier:
// after it either the frame is visible here, or the sender sees the flag.
bool RxQueue::watch() noexcept {
  ring_.arm();
  barrier_on_all_threads(clock_);
  return ring_.is_empty();
}

void RxQueue::drain() noexcept {
  ring_.drain(
      [this](const Mbuf& frame) { drop(ports::RxDrop::stopped, destination_of(frame).data(), frame.packet_length()); });
}

std::uint32_t TxQueue::burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  auto& queue = static_cast<TxQueue&>(base);
  const FrameRing::Room room = queue.ring_.room(count);
  std::uint32_t taken = 0;
  std::uint32_t put = 0;
  std::uint32_t run = 0;  // frames before `taken` that are not enqueued yet
  const auto put_run = [&] {
    if (run != 0) queue.ring_.put({mbufs + taken - run, run});
    put += std::exchange(run, 0);
  };
  for (; taken < count; ++taken) {
    Mbuf* const frame = mbufs[taken];
    if (room.is_open && put + run == room.frames) break;
    if (queue.reject(frame)) {
      put_run();
    } else if (!room.is_open) {
      queue.drop(*frame, ports::TxDrop::no_receiver);
    } else {
      queue.count_sent(frame->packet_length());
      ++run;
    }
  }
  put_run();
  queue.ring_.wake_if_armed();
  queue.count_taken(taken);
  return taken;
}

void TxQueue::reclaim() noexcept {
  ring_.drain([this](const Mbuf& frame) { count_unsent(frame.packet_length(), ports::TxDrop::no_receiver); });
}

}  // namespace pollux::ring
