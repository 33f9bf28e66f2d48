// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/if_xdp.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/compiler.hpp"
#include "pollux/mem/mbuf.hpp"

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
};
using FrameRing = Ring<xdp_desc>;
using AddressRing = Ring<std::uint64_t>;

/// Whether the kernel asks for a system call to continue (XDP_USE_NEED_WAKEUP).
template <class Entry>
[[nodiscard]] POLLUX_ALWAYS_INLINE bool needs_wakeup(const Ring<Entry>& ring) noexcept {
  return (__atomic_load_n(ring.flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP) != 0;
}

/// For rings that the kernel fills: the entries that wait, from `own` on. Reads the kernel's position if there are
/// fewer than `wanted`.
template <class Entry>
[[nodiscard]] POLLUX_ALWAYS_INLINE std::uint32_t waiting(Ring<Entry>& ring, std::uint32_t wanted) noexcept {
  if (ring.peer - ring.own < wanted) ring.peer = __atomic_load_n(ring.producer, __ATOMIC_ACQUIRE);
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

/// xdp_desc::options: the frame goes on in the next descriptor. XDP_PKT_CONTD, Linux 6.6; missing in older headers.
inline constexpr std::uint32_t kContinues = 1;

/// The mbufs that a ring pair has passed to the kernel: one bit for each cache line of the memory area (UMEM). It finds
/// what the kernel still has when a socket is closed, and an address that the kernel returns is used only if its bit is
/// set. An address is a distance from `area`; in the upper 16 bits it has that of the data from the mbuf
/// (XSK_UNALIGNED_BUF_OFFSET_SHIFT).
struct Lent {
  std::byte* area = nullptr;
  std::uint64_t lines = 0;
  std::vector<std::uint64_t> bits = {};

  /// Marks an mbuf as the kernel's, and returns its address.
  [[nodiscard]] POLLUX_ALWAYS_INLINE std::uint64_t lend(const Mbuf& mbuf) noexcept {
    const auto distance = static_cast<std::uint64_t>(reinterpret_cast<const std::byte*>(&mbuf) - area);
    bits[distance / kLine / 64] |= std::uint64_t{1} << (distance / kLine % 64);
    return distance;
  }
  /// The mbuf at an address that the kernel has returned; nullptr if the kernel did not have it.
  [[nodiscard]] POLLUX_ALWAYS_INLINE Mbuf* take_back(std::uint64_t address) noexcept {
    const std::uint64_t distance = address & XSK_UNALIGNED_BUF_ADDR_MASK;
    const std::uint64_t line = distance / kLine;
    const std::uint64_t bit = std::uint64_t{1} << (line % 64);
    if (line >= lines || (bits[line / 64] & bit) == 0) [[unlikely]]
      return nullptr;
    bits[line / 64] ^= bit;
    return reinterpret_cast<Mbuf*>(area + distance);
  }
  /// Calls `function` with each mbuf that the kernel has, which then is the caller's.
  template <class Function>
  void take_back_all(Function&& function) noexcept {
    for (std::size_t word = 0; word < bits.size(); ++word) {
      for (; bits[word] != 0; bits[word] &= bits[word] - 1) {
        const auto line = word * 64 + static_cast<unsigned>(__builtin_ctzll(bits[word]));
        function(*reinterpret_cast<Mbuf*>(area + line * kLine));
      }
    }
  }

  static constexpr std::uint64_t kLine = alignof(Mbuf);
};

}  // namespace pollux::xdp
