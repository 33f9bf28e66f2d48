// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/if_xdp.h>

#include <cstdint>

#include "base/compiler.hpp"

namespace pollux::xdp {

/// One of the four rings that a socket shares with the kernel: Linux, Documentation/networking/af_xdp.rst, "Rings".
/// Plain memory and two positions that count up without limit: our own, and the kernel's as last read.
template <class Entry>
struct Ring {
  std::uint32_t* producer = nullptr;
  std::uint32_t* consumer = nullptr;
  const std::uint32_t* flags = nullptr;
  Entry* entries = nullptr;
  std::uint32_t mask = 0;
  std::uint32_t own = 0;
  std::uint32_t peer = 0;

  [[nodiscard]] Entry& at(std::uint32_t position) const noexcept { return entries[position & mask]; }
  /// The entries from `own` on that follow one another in memory.
  [[nodiscard]] std::uint32_t until_end() const noexcept { return mask + 1 - (own & mask); }
};
using FrameRing = Ring<xdp_desc>;
using AddressRing = Ring<std::uint64_t>;

/// Those of one socket. In a direction that it does not have, they have no entries.
struct Rings {
  FrameRing rx, tx;
  AddressRing fill, completion;
};

/// Whether the kernel asks for a system call to continue (XDP_USE_NEED_WAKEUP).
template <class Entry>
[[nodiscard]] POLLUX_ALWAYS_INLINE bool needs_wakeup(const Ring<Entry>& ring) noexcept {
  return (__atomic_load_n(ring.flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP) != 0;
}

/// For rings that the kernel fills: reads its position, and returns the number of entries that wait, from `own` on.
template <class Entry>
[[nodiscard]] POLLUX_ALWAYS_INLINE std::uint32_t waiting(Ring<Entry>& ring) noexcept {
  ring.peer = __atomic_load_n(ring.producer, __ATOMIC_ACQUIRE);
  return ring.peer - ring.own;
}
/// Returns the entries before `own` to the kernel.
template <class Entry>
POLLUX_ALWAYS_INLINE void release(Ring<Entry>& ring) noexcept {
  __atomic_store_n(ring.consumer, ring.own, __ATOMIC_RELEASE);
}
/// For rings that the kernel empties: passes the entries before `own` to the kernel.
template <class Entry>
POLLUX_ALWAYS_INLINE void submit(Ring<Entry>& ring) noexcept {
  __atomic_store_n(ring.producer, ring.own, __ATOMIC_RELEASE);
}
/// The kernel's position in a ring that it empties.
template <class Entry>
[[nodiscard]] POLLUX_ALWAYS_INLINE std::uint32_t consumed(const Ring<Entry>& ring) noexcept {
  return __atomic_load_n(ring.consumer, __ATOMIC_ACQUIRE);
}

/// Begins where another process has stopped: in rings that the kernel fills, and in those that it empties.
template <class Entry>
void continue_reading(Ring<Entry>& ring) noexcept {
  ring.own = __atomic_load_n(ring.consumer, __ATOMIC_ACQUIRE);
  ring.peer = ring.own;
}
template <class Entry>
void continue_writing(Ring<Entry>& ring) noexcept {
  ring.own = __atomic_load_n(ring.producer, __ATOMIC_ACQUIRE);
  ring.peer = ring.own;
}

/// An entry of a run of adjacent ones: `twice` goes from minus twice the run's length to -2. So one register is the
/// index of arrays with entries of 8 and of 16 bytes: processors multiply an index by 8 at most.
template <class Entry>
[[nodiscard]] POLLUX_ALWAYS_INLINE Entry& in_run(Entry* end, std::intptr_t twice) noexcept {
  return *reinterpret_cast<Entry*>(reinterpret_cast<std::uintptr_t>(end) +
                                   static_cast<std::uintptr_t>(twice) * (sizeof(Entry) / 2));
}

/// xdp_desc::options: the frame goes on in the next descriptor. XDP_PKT_CONTD, Linux 6.6; missing in older headers.
inline constexpr std::uint32_t kContinues = 1;

}  // namespace pollux::xdp
