// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "c/describe.hpp"
#include "c/handles.hpp"
#include "pollux/net/rx_queue.hpp"
#include "pollux/net/tx_queue.hpp"

using namespace pollux;
using namespace pollux::c;

namespace {

/// Frames of a burst of the library; longer ones of the caller are several.
constexpr std::uint32_t kChunk = 64;

constexpr Site kReceived{"pollux_rx_burst", 0};
constexpr Site kAllocated{"pollux_alloc", 0};
constexpr Site kFreed{"pollux_free", 0};

using Mbufs = std::array<Mbuf*, kChunk>;

/// Calls `step` with 0 to `count` - 1. Unrolled, since the loop's own instructions would be a fifth of the rest.
template <class Step>
[[gnu::always_inline]] inline void each(std::uint32_t count, Step step) noexcept {
  std::uint32_t i = 0;
#pragma GCC unroll 1
  for (; count - i >= 8; i += 8) {
    step(i);
    step(i + 1);
    step(i + 2);
    step(i + 3);
    step(i + 4);
    step(i + 5);
    step(i + 6);
    step(i + 7);
  }
#pragma GCC unroll 1
  for (; i < count; ++i) step(i);
}

[[gnu::always_inline]] inline void describe_all(pollux_frame* frames, const Mbufs& mbufs,
                                                std::uint32_t count) noexcept {
  each(count, [&](std::uint32_t i) { describe(frames[i], *mbufs[i]); });
}

[[gnu::always_inline]] inline void take_all(Mbufs& mbufs, const pollux_frame* frames, std::uint32_t count) noexcept {
  each(count, [&](std::uint32_t i) { mbufs[i] = &mbuf_of(frames[i]); });
}

/// Bursts of at most kChunk frames.
///@{
[[gnu::always_inline]] inline std::uint32_t receive(RxQueue& queue, pollux_frame* frames,
                                                    std::uint32_t count) noexcept {
  Mbufs mbufs;
  const std::uint32_t found = queue.rx_burst(mbufs.data(), count, kReceived);
  describe_all(frames, mbufs, found);
  return found;
}

[[gnu::always_inline]] inline std::uint32_t send(TxQueue& queue, const pollux_frame* frames,
                                                 std::uint32_t count) noexcept {
  Mbufs mbufs;
  take_all(mbufs, frames, count);
  return queue.tx_burst(mbufs.data(), count);
}
///@}

/// A burst of the caller in as many of these as it needs.
template <class Part>
[[gnu::noinline, gnu::cold]] std::uint32_t in_parts(std::uint32_t count, Part part) noexcept {
  for (std::uint32_t moved = 0;;) {
    const std::uint32_t most = std::min(count - moved, kChunk);
    const std::uint32_t now = part(moved, most);
    moved += now;
    if (now < most || moved == count) return moved;
  }
}

}  // namespace

uint32_t pollux_rx_burst(pollux_rx* rx, pollux_frame* frames, uint32_t count) {
  RxQueue& queue = queue_of(rx);
  if (count <= kChunk) [[likely]]
    return receive(queue, frames, count);
  return in_parts(count, [&](std::uint32_t from, std::uint32_t most) { return receive(queue, frames + from, most); });
}

uint32_t pollux_tx_burst(pollux_tx* tx, const pollux_frame* frames, uint32_t count) {
  TxQueue& queue = queue_of(tx);
  if (count <= kChunk) [[likely]]
    return send(queue, frames, count);
  return in_parts(count, [&](std::uint32_t from, std::uint32_t most) { return send(queue, frames + from, most); });
}

bool pollux_alloc(pollux_pool* pool, pollux_frame* frames, uint32_t count, uint32_t bytes) {
  Mbufs mbufs;
  for (std::uint32_t allocated = 0; allocated != count;) {
    const std::uint32_t some = std::min(count - allocated, kChunk);
    if (!pool->cache.allocate_bulk(std::span(mbufs).first(some), bytes, kAllocated)) {
      pollux_free(pool, frames, allocated);
      return false;
    }
    describe_all(frames + allocated, mbufs, some);
    allocated += some;
  }
  return true;
}

void pollux_free(pollux_pool* pool, pollux_frame* frames, uint32_t count) {
  Mbufs mbufs;
  for (std::uint32_t freed = 0; freed != count;) {
    const std::uint32_t some = std::min(count - freed, kChunk);
    take_all(mbufs, frames + freed, some);
    if (pool != nullptr) {
      pool->cache.free_bulk(std::span<Mbuf* const>(mbufs).first(some), kFreed);
    } else {
      for (Mbuf* const mbuf : std::span(mbufs).first(some)) MbufDeleter{}(mbuf);
    }
    freed += some;
  }
}

void pollux_drop(pollux_drop_counter* counter, pollux_pool* pool, pollux_frame* frames, uint32_t count) {
  Mbufs mbufs;
  for (std::uint32_t dropped = 0; dropped != count;) {
    const std::uint32_t some = std::min(count - dropped, kChunk);
    take_all(mbufs, frames + dropped, some);
    counter->counter.add(std::span<Mbuf* const>(mbufs).first(some));
    dropped += some;
  }
  pollux_free(pool, frames, count);
}
