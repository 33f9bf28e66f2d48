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

/// How many threads may dequeue at once.
enum class RingConsumers { single, multiple };

/// A bounded FIFO with any number of producer threads, and one or any number of consumer threads. It holds values, such
/// as pointers, and does not own what they point to; `MpmcMbufRing` and `MpscMbufRing` own mbufs.
///
/// The algorithm is D. Vyukov's bounded queue (1024cores.net), with one compare-and-swap for each burst instead of each
/// value. Each slot has a sequence number, `turn`, that says which position may use the slot next. A thread claims as
/// many consecutive ready slots as it needs, so a burst is contiguous in the ring. If a thread is interrupted between
/// claiming slots and filling them, consumers that reach those slots find the ring empty; if it is interrupted before
/// emptying them, producers find the ring full. They return at once and do not wait for that thread, unlike in DPDK's
/// rte_ring.
///
/// A slot takes 16 bytes for a pointer. Throws std::bad_alloc if `operator new` fails in the constructor; there is no
/// other error. `Word` is the type of positions: 64 bits, so that no position repeats while a thread is interrupted. A
/// test uses 8 bits, on one thread, to check every wrap.
/// Thread rule: any number of threads may enqueue at a time; `kConsumers` says whether one or any number may dequeue.
template <class T, RingConsumers kConsumers, std::unsigned_integral Word = std::uint64_t>
class MultiProducerRing {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  /// In values. The upper limit is 2^20, or less if `Word` is small.
  ///@{
  static constexpr std::uint32_t kMinCapacity = 2;
  static constexpr std::uint32_t kMaxCapacity = std::uint32_t{1} << std::min(20, std::numeric_limits<Word>::digits - 1);
  ///@}

  /// `capacity` in values, rounded up to a power of two and clamped to the limits.
  explicit MultiProducerRing(std::uint32_t capacity)
      : mask_(static_cast<Word>(std::bit_ceil(std::clamp(capacity, kMinCapacity, kMaxCapacity)) - 1)),
        slots_(std::make_unique<Slot[]>(static_cast<std::size_t>(mask_) + 1)) {
    for (std::uint32_t i = 0; i < this->capacity(); ++i) {
      slots_[i].turn.store(static_cast<Word>(i), std::memory_order_relaxed);
    }
  }
  MultiProducerRing(const MultiProducerRing&) = delete;
  MultiProducerRing& operator=(const MultiProducerRing&) = delete;

  /// In values: what the constructor was asked for, rounded up and clamped.
  [[nodiscard]] std::uint32_t capacity() const noexcept { return static_cast<std::uint32_t>(mask_) + 1; }
  /// Number of values in the ring, including those that a thread is just adding or removing. Exact while no other
  /// thread uses the ring. Any thread.
  [[nodiscard]] std::uint32_t size() const noexcept {
    // The head is read first: it never passes the tail, so the difference is never negative.
    const Index head(head_.load(std::memory_order_acquire));
    const Index tail(tail_.load(std::memory_order_acquire));
    return static_cast<std::uint32_t>(std::min<Word>(tail.distance_from(head), static_cast<Word>(mask_ + 1)));
  }
  /// As `size`: exact while no other thread uses the ring.
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  /// Appends values from the front of `values` until the ring is full. Returns the number appended. Any thread.
  std::uint32_t enqueue(std::span<const T> values) noexcept {
    const auto [at, count] = claim<true>(tail_, values.size(), kFreeTurn);
    for (std::uint32_t i = 0; i < count; ++i) {
      const Index position = at + static_cast<Word>(i);
      Slot& slot = slot_at(position);
      slot.value = values[i];
      slot.turn.store((position + kFilledTurn).value(), std::memory_order_release);
    }
    return count;
  }
  /// Removes the oldest values into `values`. Returns their number. Any thread; with RingConsumers::single only one.
  std::uint32_t dequeue(std::span<T> values) noexcept {
    const auto [at, count] = claim<kConsumers == RingConsumers::multiple>(head_, values.size(), kFilledTurn);
    for (std::uint32_t i = 0; i < count; ++i) {
      const Index position = at + static_cast<Word>(i);
      Slot& slot = slot_at(position);
      values[i] = slot.value;
      slot.turn.store((position + static_cast<Word>(mask_ + 1)).value(), std::memory_order_release);
    }
    return count;
  }

 private:
  using Index = BasicRingIndex<Word>;
  // The turn of a slot is its position while the slot is free, and its position plus one while the slot is filled.
  static constexpr Word kFreeTurn = 0;
  static constexpr Word kFilledTurn = 1;

  struct Slot {
    std::atomic<Word> turn{0};
    T value{};
  };
  struct Claim {
    Index at;
    std::uint32_t count = 0;
  };

  [[nodiscard]] Slot& slot_at(Index position) const noexcept {
    return slots_[static_cast<std::size_t>(position.slot(mask_))];
  }
  /// Number of consecutive slots from `at` on, at most `wanted`, whose turn is their position plus `turn`.
  [[nodiscard]] std::uint32_t ready(Index at, std::size_t wanted, Word turn) const noexcept {
    std::uint32_t count = 0;
    for (; count < wanted; ++count) {
      const Index position = at + static_cast<Word>(count);
      if (slot_at(position).turn.load(std::memory_order_acquire) != (position + turn).value()) break;
    }
    return count;
  }
  /// Advances `end` (head_ or tail_) over the ready slots. The thread that advances it owns those slots: all others
  /// wait for a change of `end` before they touch them.
  template <bool kShared>
  [[nodiscard]] Claim claim(std::atomic<Word>& end, std::size_t wanted, Word turn) noexcept {
    const std::size_t most = std::min<std::size_t>(wanted, capacity());
    Word at = end.load(std::memory_order_relaxed);
    for (;;) {
      const std::uint32_t count = ready(Index(at), most, turn);
      const Word next = (Index(at) + static_cast<Word>(count)).value();
      if constexpr (!kShared) {
        end.store(next, std::memory_order_relaxed);
        return {.at = Index(at), .count = count};
      }
      if (count == 0) {
        // Either no slot is ready, or another thread has just claimed these.
        const Word now = end.load(std::memory_order_relaxed);
        if (now == at || most == 0) return {};
        at = now;
      } else if (end.compare_exchange_weak(at, next, std::memory_order_relaxed)) {
        return {.at = Index(at), .count = count};
      }
    }
  }

  const Word mask_;
  const std::unique_ptr<Slot[]> slots_;
  alignas(64) std::atomic<Word> tail_{0};  // where producers claim
  alignas(64) std::atomic<Word> head_{0};  // where consumers claim
};

/// Any number of producers, any number of consumers.
template <class T>
using MpmcRing = MultiProducerRing<T, RingConsumers::multiple>;
/// Any number of producers, one consumer.
template <class T>
using MpscRing = MultiProducerRing<T, RingConsumers::single>;

}  // namespace pollux
