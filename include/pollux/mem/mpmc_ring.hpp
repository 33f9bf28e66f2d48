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

enum class RingConsumers { single, multiple };

/// A bounded first-in-first-out ring into which any number of threads enqueue, and from which one or any number
/// dequeue. D. Vyukov's bounded queue (1024cores.net), with one compare-and-swap for a whole burst: each slot has a
/// sequence number that says whose turn it is, so that a side claims as many slots in a row as are ready. A thread that
/// is interrupted between claiming slots and filling (emptying) them holds up whoever comes to those slots, who finds
/// the ring empty (full) meanwhile. Nobody waits for it, unlike in DPDK's rte_ring. A burst lies in the ring in one
/// piece. Holds values, such as pointers, and owns nothing that they point to; `MpmcMbufRing` and `MpscMbufRing` own
/// mbufs. A slot takes 16 bytes for a pointer. Thread rule: as its name says. Where `operator new` fails,
/// std::bad_alloc passes through the constructor; nothing else fails. `Word` counts positions. One that comes round
/// while a thread is interrupted could be mistaken, hence 64 bits; a test takes 8 bits, in one thread, to see every
/// wrap.
template <class T, RingConsumers kConsumers, std::unsigned_integral Word = std::uint64_t>
class MultiProducerRing {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  static constexpr std::uint32_t kMinCapacity = 2;
  static constexpr std::uint32_t kMaxCapacity = std::uint32_t{1} << std::min(20, std::numeric_limits<Word>::digits - 1);

  /// Room for `capacity` values: rounded up to a power of two, and brought to the nearest limit.
  explicit MultiProducerRing(std::uint32_t capacity)
      : mask_(static_cast<Word>(std::bit_ceil(std::clamp(capacity, kMinCapacity, kMaxCapacity)) - 1)),
        slots_(std::make_unique<Slot[]>(static_cast<std::size_t>(mask_) + 1)) {
    for (std::uint32_t i = 0; i < this->capacity(); ++i) {
      slots_[i].turn.store(static_cast<Word>(i), std::memory_order_relaxed);
    }
  }
  MultiProducerRing(const MultiProducerRing&) = delete;
  MultiProducerRing& operator=(const MultiProducerRing&) = delete;

  [[nodiscard]] std::uint32_t capacity() const noexcept { return static_cast<std::uint32_t>(mask_) + 1; }
  /// How many values wait, those included that are just being put or taken. Exact while all others rest. Any thread.
  [[nodiscard]] std::uint32_t size() const noexcept {
    // In this order, since a consumer never gets ahead of the producers.
    const Index head(head_.load(std::memory_order_acquire));
    const Index tail(tail_.load(std::memory_order_acquire));
    return static_cast<std::uint32_t>(std::min<Word>(tail.distance_from(head), static_cast<Word>(mask_ + 1)));
  }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  /// Adds values from the front of `values` until the ring is full; returns how many. Any thread.
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
  /// Takes the oldest values that wait; returns how many. Any thread, or with RingConsumers::single one.
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
  // A slot's turn is its position while it is free for that position, and one more while it is filled.
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
  /// How many slots in a row, from `at` on and at most `wanted`, have the turn that is waited for.
  [[nodiscard]] std::uint32_t ready(Index at, std::size_t wanted, Word turn) const noexcept {
    std::uint32_t count = 0;
    for (; count < wanted; ++count) {
      const Index position = at + static_cast<Word>(count);
      if (slot_at(position).turn.load(std::memory_order_acquire) != (position + turn).value()) break;
    }
    return count;
  }
  /// Moves `end` (head_ or tail_) over as many slots as are ready, which then are the caller's alone: until it moves
  /// nobody else may touch them, since whoever does has moved it first.
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
        // None is ready, unless another thread has just claimed those.
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
