// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <type_traits>

#include "pollux/base/ring_index.hpp"

namespace pollux {

/// A bounded FIFO between two threads: one enqueues, one dequeues. It holds values, such as pointers, and does not own
/// what they point to; `SpscMbufRing` owns mbufs.
///
/// There is no lock and no atomic read-modify-write. Each side keeps a copy of the other side's position and reads the
/// real one only when the copy shows too few values or too little room (L. Lamport, "Specifying Concurrent Program
/// Modules", 1983, with the cached positions of "MCRingBuffer", P. Lee and others, 2010). `Word` is the type of
/// positions; a test uses 8 bits to check every wrap.
///
/// Throws std::bad_alloc if `operator new` fails in the constructor; there is no other error.
/// Thread rule: one producer and one consumer at a time. Another thread may become the producer or the consumer once it
/// is synchronised with the previous one.
template <class T, std::unsigned_integral Word = std::uint32_t>
class SpscRing {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  /// In values. The upper limit is 2^20, or less if `Word` is small.
  ///@{
  static constexpr std::uint32_t kMinCapacity = 2;
  static constexpr std::uint32_t kMaxCapacity = std::uint32_t{1} << std::min(20, std::numeric_limits<Word>::digits - 1);
  ///@}

  /// `capacity` in values, rounded up to a power of two and clamped to the limits.
  explicit SpscRing(std::uint32_t capacity)
      : mask_(static_cast<Word>(std::bit_ceil(std::clamp(capacity, kMinCapacity, kMaxCapacity)) - 1)),
        slots_(std::make_unique<T[]>(std::size_t{mask_} + 1)) {}
  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  /// In values: what the constructor was asked for, rounded up and clamped.
  [[nodiscard]] std::uint32_t capacity() const noexcept { return std::uint32_t{mask_} + 1; }
  /// Number of values in the ring. Exact for the producer while the consumer is idle, and the other way round; any
  /// other thread may get an old value.
  [[nodiscard]] std::uint32_t size() const noexcept {
    // The head is read first: it never passes the tail, so the difference is never negative.
    const Index head(head_.load(std::memory_order_acquire));
    const Index tail(tail_.load(std::memory_order_acquire));
    return std::min<std::uint32_t>(tail.distance_from(head), capacity());
  }
  /// As `size`: exact for a side while the other one is idle.
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  /// For the producer: a lower bound of the values that fit. Reads the consumer's position only if fewer than `wanted`
  /// were known to fit.
  [[nodiscard]] std::uint32_t room(std::uint32_t wanted) noexcept {
    const Index tail(tail_.load(std::memory_order_relaxed));
    const std::uint32_t known = capacity() - tail.distance_from(known_head_);
    if (known >= wanted) return known;
    known_head_ = Index(head_.load(std::memory_order_acquire));
    return capacity() - tail.distance_from(known_head_);
  }
  /// For the producer: appends all of `values`, at most as many as `room` returned. The consumer sees all of them at
  /// once.
  void put(std::span<const T> values) noexcept {
    const Index tail(tail_.load(std::memory_order_relaxed));
    const auto [first, second] = pieces(tail, values.size());
    std::copy_n(values.data(), first.size(), first.data());
    if (!second.empty()) [[unlikely]]
      std::copy_n(values.data() + first.size(), second.size(), second.data());
    tail_.store((tail + static_cast<Word>(values.size())).value(), std::memory_order_release);
  }
  /// For the producer: appends values from the front of `values` until the ring is full. Returns the number appended.
  std::uint32_t enqueue(std::span<const T> values) noexcept {
    const std::uint32_t wanted = at_most(values.size(), capacity());
    const std::uint32_t count = at_most(wanted, room(wanted));
    if (count != 0) put(values.first(count));
    return count;
  }

  /// For the consumer: copies the oldest values into `values` without removing them. Returns their number.
  [[nodiscard]] std::uint32_t peek(std::span<T> values) noexcept {
    const Index head(head_.load(std::memory_order_relaxed));
    if (known_tail_.distance_from(head) < values.size()) known_tail_ = Index(tail_.load(std::memory_order_acquire));
    const std::uint32_t count = at_most(values.size(), known_tail_.distance_from(head));
    if (count == 0) return 0;
    const auto [first, second] = pieces(head, count);
    std::copy_n(first.data(), first.size(), values.data());
    if (!second.empty()) [[unlikely]]
      std::copy_n(second.data(), second.size(), values.data() + first.size());
    return count;
  }
  /// For the consumer: removes the oldest `count` values, at most as many as `peek` returned.
  void discard(std::uint32_t count) noexcept {
    const Index head(head_.load(std::memory_order_relaxed));
    head_.store((head + static_cast<Word>(count)).value(), std::memory_order_release);
  }
  /// For the consumer: removes the oldest values into `values`. Returns their number.
  std::uint32_t dequeue(std::span<T> values) noexcept {
    const std::uint32_t count = peek(values);
    if (count != 0) discard(count);
    return count;
  }

 private:
  using Index = BasicRingIndex<Word>;

  [[nodiscard]] static std::uint32_t at_most(std::size_t count, std::uint32_t limit) noexcept {
    return count < limit ? static_cast<std::uint32_t>(count) : limit;
  }
  /// The slots from a position on, in two parts: up to the last slot, and from the first slot on.
  struct Pieces {
    std::span<T> first;
    std::span<T> second;
  };
  [[nodiscard]] Pieces pieces(Index position, std::size_t count) const noexcept {
    const std::size_t at = position.slot(mask_);
    const std::size_t first = std::min<std::size_t>(count, capacity() - at);
    return {.first = {&slots_[at], first}, .second = {&slots_[0], count - first}};
  }

  const Word mask_;
  const std::unique_ptr<T[]> slots_;
  alignas(64) std::atomic<Word> tail_{0};  // written by the producer
  Index known_head_;                       // the producer's copy
  alignas(64) std::atomic<Word> head_{0};  // written by the consumer
  Index known_tail_;                       // the consumer's copy
};

}  // namespace pollux
