// SPDX-License-Identifier: BSD-3-Clause
// Copies short frames, so that their buffers return to the pool of the ring (RxQueueConfig::copy_break).
#include <cstring>

#include "base/compiler.hpp"
#include "drivers/intel/queue/rx_ring.hpp"

namespace pollux::drivers::intel {

namespace {

// The allocation site that checked builds report for a copy, and for the frame until it is freed.
constexpr Site kCopySite{"igb receive copy", 0};

// nullptr: the pool of the copies is exhausted.
Mbuf* copy_of(const RxRing& ring, MempoolCacheCore& cache, const Mbuf& frame) noexcept {
  if (!cache.has_one()) return nullptr;
  Mbuf& copy = cache.pop();
  const std::uint32_t length = frame.length();
  MbufAccess::rx_low(copy) = frame.rx_word(0);
  MbufAccess::rx_high(copy) = frame.rx_word(1);
  MbufAccess::set_word(copy, ring.copy_word + length);
  MbufAccess::stamp(copy, kCopySite);
  std::memcpy(copy.data(), frame.data(), length);
  return &copy;
}

}  // namespace

// The buffer of a copied frame goes to the queue's cache, from which the next slot is refilled. So few buffers
// circulate, and they stay in the processor's caches.
std::uint32_t rx_burst_copying(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  auto& ring = static_cast<RxRing&>(base);
  const std::uint32_t count = ring.uncopied(base, out, limit);
  MempoolCacheCore& cache = ring.copying.cache != nullptr ? *ring.copying.cache : *ring.cache_;
  for (std::uint32_t i = 0; i < count; ++i) {
    Mbuf& frame = *out[i];
    if (frame.packet_length() > ring.copying.max_length || frame.next() != nullptr) continue;
    Mbuf* const copy = copy_of(ring, cache, frame);
    if (copy == nullptr) continue;
    out[i] = copy;
    MbufAccess::stamp(frame, kCopySite);
    ring.cache_->free(frame);
  }
  return count;
}

}  // namespace pollux::drivers::intel
