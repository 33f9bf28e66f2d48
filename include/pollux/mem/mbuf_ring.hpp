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

/// Mbufs on their way between threads of one process, such as from the thread that polls a receive queue to workers.
///
///     SpscMbufRing ring(1024);
///     ring.enqueue(burst);             // one thread: takes what fits; the rest stays in the burst
///     burst.drop(ring_full);
///     ring.dequeue(burst);             // another thread
///
/// Ownership: the ring owns each mbuf from enqueue to dequeue. What it still owns when it goes away returns to its pool
/// and is counted there as an unnamed drop, as a Burst's mbufs are; `drop` gives it a name first.
/// Thread rule: enqueue and dequeue as the name of the ring says, `drop` as dequeue; size, empty and capacity from any
/// thread. It goes away when no thread uses it any more. A mempool cache does not travel with the mbufs: each thread
/// has its own, and mbufs may be given back to another one than they came from. `Ring`: SpscRing, MpscRing or MpmcRing
/// of Mbuf*.
template <class Ring>
class BasicMbufRing {
 public:
  /// Room for `capacity` frames: rounded up to a power of two, 2 to 1,048,576. Where `operator new` fails,
  /// std::bad_alloc passes through; nothing else fails.
  explicit BasicMbufRing(std::uint32_t capacity) : ring_(capacity) {}
  BasicMbufRing(const BasicMbufRing&) = delete;
  BasicMbufRing& operator=(const BasicMbufRing&) = delete;
  ~BasicMbufRing() {
    Burst<kDropBurst> rest;
    while (dequeue(rest) != 0) rest = {};
  }

  [[nodiscard]] std::uint32_t capacity() const noexcept { return ring_.capacity(); }
  [[nodiscard]] std::uint32_t size() const noexcept { return ring_.size(); }
  [[nodiscard]] bool empty() const noexcept { return ring_.empty(); }

  /// Takes frames from the front of `burst`, in order, until the ring is full; the rest stays in the burst. Returns how
  /// many it took.
  template <std::uint32_t Capacity>
  std::uint32_t enqueue(Burst<Capacity>& burst) noexcept {
    const std::uint32_t taken = ring_.enqueue(std::span<Mbuf* const>(burst.mbufs_, burst.size_));
    burst.forget_front(taken);
    return taken;
  }
  /// Takes `mbuf` over. False, with `mbuf` kept by the caller, if the ring is full; an empty pointer is refused, too.
  [[nodiscard]] bool enqueue(MbufPtr& mbuf) noexcept {
    Mbuf* const raw = mbuf.get();
    if (raw == nullptr || ring_.enqueue(std::span<Mbuf* const>(&raw, 1)) == 0) return false;
    static_cast<void>(mbuf.release());
    return true;
  }

  /// Appends frames that wait, the oldest first, to `burst`: as many as there are, at most `limit` and what fits.
  /// Returns how many.
  template <std::uint32_t Capacity>
  std::uint32_t dequeue(Burst<Capacity>& burst, std::uint32_t limit = Capacity, Site site = Site::here()) noexcept {
    Mbuf** const out = burst.mbufs_ + burst.size_;
    const std::uint32_t most = limit < burst.room() ? limit : burst.room();
    const std::uint32_t count = ring_.dequeue(std::span<Mbuf*>(out, most));
    for (std::uint32_t i = 0; i < count; ++i) stamp(*out[i], site);
    burst.size_ += count;
    return count;
  }
  /// The oldest frame that waits, now the caller's; empty if there is none.
  [[nodiscard]] MbufPtr dequeue(Site site = Site::here()) noexcept {
    Mbuf* raw = nullptr;
    if (ring_.dequeue(std::span<Mbuf*>(&raw, 1)) == 0) return {};
    stamp(*raw, site);
    return MbufPtr(raw);
  }

  /// Gives frames that wait back and counts them under `reason`; returns how many. At most as many as the ring holds,
  /// so that it ends while others enqueue.
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

/// One thread enqueues, one dequeues: the quickest.
using SpscMbufRing = BasicMbufRing<SpscRing<Mbuf*>>;
/// Any number of threads enqueue, one dequeues.
using MpscMbufRing = BasicMbufRing<MpscRing<Mbuf*>>;
/// Any number of threads enqueue and dequeue.
using MpmcMbufRing = BasicMbufRing<MpmcRing<Mbuf*>>;

}  // namespace pollux
