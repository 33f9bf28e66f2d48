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

// Unrolled, since the loop's own instructions would be a fifth of the rest.
void describe_all(pollux_frame* frames, const Mbufs& mbufs, std::uint32_t count) noexcept {
#pragma GCC unroll 8
  for (std::uint32_t i = 0; i < count; ++i) describe(frames[i], *mbufs[i]);
}

void take_all(Mbufs& mbufs, const pollux_frame* frames, std::uint32_t count) noexcept {
#pragma GCC unroll 8
  for (std::uint32_t i = 0; i < count; ++i) mbufs[i] = &mbuf_of(frames[i]);
}

}  // namespace

uint32_t pollux_rx_burst(pollux_rx* rx, pollux_frame* frames, uint32_t count) {
  RxQueue& queue = queue_of(rx);
  Mbufs mbufs;
  for (std::uint32_t received = 0;;) {
    const std::uint32_t most = std::min(count - received, kChunk);
    const std::uint32_t found = queue.rx_burst(mbufs.data(), most, kReceived);
    describe_all(frames + received, mbufs, found);
    received += found;
    if (found < most || received == count) return received;
  }
}

uint32_t pollux_tx_burst(pollux_tx* tx, const pollux_frame* frames, uint32_t count) {
  TxQueue& queue = queue_of(tx);
  Mbufs mbufs;
  for (std::uint32_t sent = 0;;) {
    const std::uint32_t most = std::min(count - sent, kChunk);
    take_all(mbufs, frames + sent, most);
    const std::uint32_t taken = queue.tx_burst(mbufs.data(), most);
    sent += taken;
    if (taken < most || sent == count) return sent;
  }
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
