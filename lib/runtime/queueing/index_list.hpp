// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

namespace pollux::queueing {

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
  void for_each(const Elements& elements, Handler handle) const noexcept {
    std::uint32_t index = head_;
    for (std::size_t i = 0; i < size_; ++i, index = elements[index].next) handle(elements[index]);
  }

 private:
  std::uint32_t head_ = 0;
  std::uint32_t tail_ = 0;
  std::size_t size_ = 0;
};

}  // namespace pollux::queueing
