// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <utility>

#include "pollux/mem/burst.hpp"
#include "pollux/mem/mbuf.hpp"

namespace pollux::queueing {

/// A list of frames, linked through the words of an mbuf that are its owner's. It owns the frames in it.
class FrameQueue {
 public:
  FrameQueue() noexcept = default;
  FrameQueue(FrameQueue&& other) noexcept
      : head_(std::exchange(other.head_, nullptr)), tail_(std::exchange(other.tail_, nullptr)) {}
  FrameQueue& operator=(FrameQueue&&) = delete;
  ~FrameQueue() {
    while (head_ != nullptr) {
      Mbuf* const frame = &pop();
      drop_unnamed({&frame, 1});
    }
  }

  [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
  void push(Mbuf& frame) noexcept {
    if (head_ == nullptr) {
      head_ = &frame;
    } else {
      MbufAccess::port_private(*tail_)[0] = reinterpret_cast<std::uintptr_t>(&frame);
    }
    MbufAccess::port_private(frame)[0] = 0;
    tail_ = &frame;
  }
  void push_front(Mbuf& frame) noexcept {
    if (head_ == nullptr) return push(frame);
    MbufAccess::port_private(frame)[0] = reinterpret_cast<std::uintptr_t>(head_);
    head_ = &frame;
  }
  /// Removes the oldest frame; there must be one.
  [[nodiscard]] Mbuf& pop() noexcept {
    Mbuf& frame = *head_;
    head_ = reinterpret_cast<Mbuf*>(static_cast<std::uintptr_t>(MbufAccess::port_private(frame)[0]));
    return frame;
  }

  /// A word for the discipline that owns the frame.
  [[nodiscard]] static std::uint64_t& note(Mbuf& frame) noexcept { return MbufAccess::port_private(frame)[1]; }

 private:
  Mbuf* head_ = nullptr;
  Mbuf* tail_ = nullptr;
};

}  // namespace pollux::queueing
