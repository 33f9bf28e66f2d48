// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pollux/mem/burst.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/runtime/queueing/queue_disciplines.hpp"

namespace pollux::queueing {

/// Frees a frame and counts it under `why`.
inline void drop(Mbuf& frame, DropCounter& why) noexcept {
  Mbuf* const dropped = &frame;
  why.add({&dropped, 1});
  MbufDeleter{}(dropped);
}

[[nodiscard]] inline NamedCount named(const DropCounter& counter) { return {counter.name(), counter.value()}; }

/// Appends the counters of `inner`, each with `prefix` before its name.
inline void append_counters(std::vector<NamedCount>& all, const std::string& prefix, const QueueDiscipline& inner) {
  for (NamedCount& one : inner.counters()) all.push_back({prefix + ": " + one.name, one.value});
}

/// Finds the class of each frame: by the program's function, or by the frames' field for the application.
class Classes {
 public:
  static constexpr std::size_t kBatch = 64;

  explicit Classes(FrameClassifier classifier) : classifier_(std::move(classifier)) {}

  /// Calls `handle(frames, number)` for each run of consecutive frames of one class, in order.
  template <class Handler>
  void for_each_run(std::span<Mbuf* const> frames, Handler handle) const noexcept {
    std::array<std::uint32_t, kBatch> numbers;
    for (; !frames.empty(); frames = frames.subspan(std::min(frames.size(), kBatch))) {
      const auto batch = frames.first(std::min(frames.size(), kBatch));
      number(batch, numbers);
      for (std::size_t begin = 0, end = 0; begin < batch.size(); begin = end) {
        while (++end < batch.size() && numbers[end] == numbers[begin]) {
        }
        handle(batch.subspan(begin, end - begin), numbers[begin]);
      }
    }
  }

 private:
  void number(std::span<Mbuf* const> batch, std::array<std::uint32_t, kBatch>& numbers) const noexcept {
    if (classifier_) {
      // What the function does not write is no class.
      std::fill_n(numbers.begin(), batch.size(), kNone);
      classifier_(batch, std::span(numbers).first(batch.size()));
      return;
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      numbers[i] = static_cast<std::uint32_t>(std::min<std::uint64_t>(batch[i]->user(), kNone));
    }
  }

  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  FrameClassifier classifier_;
};

/// A frame that a discipline has given and taken back. It is given first, without a further decision.
class HeldFrame {
 public:
  HeldFrame() noexcept = default;
  HeldFrame(HeldFrame&& other) noexcept = default;
  HeldFrame& operator=(HeldFrame&&) = delete;
  ~HeldFrame() {
    Mbuf* const frame = frame_.release();
    if (frame != nullptr) drop_unnamed({&frame, 1});
  }

  [[nodiscard]] bool empty() const noexcept { return frame_ == nullptr; }
  /// Bytes of the frame; 0 if there is none.
  [[nodiscard]] std::uint32_t length() const noexcept { return frame_ != nullptr ? frame_->packet_length() : 0; }
  void hold(Mbuf& frame) noexcept { frame_.reset(&frame); }
  [[nodiscard]] Mbuf* release() noexcept { return frame_.release(); }

 private:
  MbufPtr frame_;
};

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

/// A list of elements of an array, linked by their member `next`. An element is in one list at a time.
class IndexList {
 public:
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint32_t front() const noexcept { return head_; }

  template <class Elements>
  void push(Elements& elements, std::uint32_t index) noexcept {
    if (size_++ == 0) {
      head_ = index;
    } else {
      elements[tail_].next = index;
    }
    tail_ = index;
  }
  /// Removes the first element; there must be one.
  template <class Elements>
  std::uint32_t pop(Elements& elements) noexcept {
    const std::uint32_t index = head_;
    head_ = elements[index].next;
    --size_;
    return index;
  }
  /// Moves the first element to the end.
  template <class Elements>
  void rotate(Elements& elements) noexcept {
    push(elements, pop(elements));
  }
  template <class Elements, class Handler>
  void for_each(Elements& elements, Handler handle) const noexcept {
    std::uint32_t index = head_;
    for (std::size_t i = 0; i < size_; ++i, index = elements[index].next) handle(elements[index]);
  }

 private:
  std::uint32_t head_ = 0;
  std::uint32_t tail_ = 0;
  std::size_t size_ = 0;
};

}  // namespace pollux::queueing
