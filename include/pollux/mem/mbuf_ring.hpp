// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>

#include "pollux/mem/burst.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/mem/mpmc_ring.hpp"
#include "pollux/mem/spsc_ring.hpp"

namespace pollux {

/// A bounded FIFO that passes mbufs between threads of one process, for example from the thread that polls a receive
/// queue to workers.
///
///     SpscMbufRing ring(1024);
///     ring.enqueue(burst);             // one thread: takes what fits; the rest stays in the burst
///     burst.drop(ring_full);
///     ring.dequeue(burst);             // another thread
///
/// Ownership: the ring owns each mbuf from enqueue to dequeue. The destructor returns the mbufs that are left to their
/// pools, which count them as unnamed drops; call `drop` first to count them under a name.
/// Thread rule: the ring's name says how many threads may enqueue and dequeue; `drop` counts as dequeue. size, empty
/// and capacity may be called from any thread. No thread may use the ring while it is destroyed. Each thread uses its
/// own mempool cache; an mbuf may be freed to another cache than it was allocated from. `Ring`: SpscRing, MpscRing or
/// MpmcRing of Mbuf*.
template <class Ring>
class BasicMbufRing {
 public:
  /// `capacity` in frames, rounded up to a power of two from 2 to 1,048,576. Throws std::bad_alloc if `operator new`
  /// fails; there is no other error.
  explicit BasicMbufRing(std::uint32_t capacity) : ring_(capacity) {}
  BasicMbufRing(const BasicMbufRing&) = delete;
  BasicMbufRing& operator=(const BasicMbufRing&) = delete;
  ~BasicMbufRing() {
    Burst<kDropBurst> rest;
    while (dequeue(rest) != 0) rest = {};
  }

  /// In frames. What is in the ring is exact only while no other thread uses it.
  ///@{
  [[nodiscard]] std::uint32_t capacity() const noexcept { return ring_.capacity(); }
  [[nodiscard]] std::uint32_t size() const noexcept { return ring_.size(); }
  [[nodiscard]] bool empty() const noexcept { return ring_.empty(); }
  ///@}

  /// Takes frames from the front of `burst`, in order, until the ring is full; the rest stays in the burst. Returns the
  /// number taken.
  template <std::uint32_t Capacity>
  std::uint32_t enqueue(Burst<Capacity>& burst) noexcept {
    const std::uint32_t taken = ring_.enqueue(std::span<Mbuf* const>(burst.mbufs_, burst.size_));
    burst.forget_front(taken);
    return taken;
  }
  /// Takes ownership of `mbuf`. Returns false and leaves `mbuf` unchanged if the ring is full or `mbuf` is empty.
  [[nodiscard]] bool enqueue(MbufPtr& mbuf) noexcept {
    Mbuf* const raw = mbuf.get();
    if (raw == nullptr || ring_.enqueue(std::span<Mbuf* const>(&raw, 1)) == 0) return false;
    static_cast<void>(mbuf.release());
    return true;
  }

  /// Appends the oldest frames to `burst`: at most `limit`, and at most as many as fit. Returns the number appended.
  template <std::uint32_t Capacity>
  std::uint32_t dequeue(Burst<Capacity>& burst, std::uint32_t limit = Capacity, Site site = Site::here()) noexcept {
    Mbuf** const out = burst.mbufs_ + burst.size_;
    const std::uint32_t most = limit < burst.room() ? limit : burst.room();
    const std::uint32_t count = ring_.dequeue(std::span<Mbuf*>(out, most));
    for (std::uint32_t i = 0; i < count; ++i) stamp(*out[i], site);
    burst.size_ += count;
    return count;
  }
  /// Removes the oldest frame and returns it; empty if the ring is empty.
  [[nodiscard]] MbufPtr dequeue(Site site = Site::here()) noexcept {
    Mbuf* raw = nullptr;
    if (ring_.dequeue(std::span<Mbuf*>(&raw, 1)) == 0) return {};
    stamp(*raw, site);
    return MbufPtr(raw);
  }

  /// Frees the frames in the ring and counts them under `reason`. Returns their number, at most the ring's capacity, so
  /// the call ends even while other threads enqueue.
  std::uint32_t drop(DropCounter& reason) noexcept {
    std::uint32_t dropped = 0;
    for (Burst<kDropBurst> burst; dropped < capacity() && dequeue(burst) != 0;) {
      dropped += burst.size();
      burst.drop(reason);
    }
    return dropped;
  }

 private:
  static constexpr std::uint32_t kDropBurst = 64;

  static void stamp([[maybe_unused]] Mbuf& mbuf, [[maybe_unused]] Site site) noexcept {
#if POLLUX_CHECKED
    for (Mbuf* segment = &mbuf; segment != nullptr; segment = segment->next()) MbufAccess::stamp(*segment, site);
#endif
  }

  Ring ring_;
};

/// One thread enqueues, one dequeues: the fastest.
using SpscMbufRing = BasicMbufRing<SpscRing<Mbuf*>>;
/// Any number of threads enqueue, one dequeues.
using MpscMbufRing = BasicMbufRing<MpscRing<Mbuf*>>;
/// Any number of threads enqueue and dequeue.
using MpmcMbufRing = BasicMbufRing<MpmcRing<Mbuf*>>;

}  // namespace pollux
