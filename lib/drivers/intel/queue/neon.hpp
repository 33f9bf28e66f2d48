// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "base/compiler.hpp"
#include "hw/intel/descriptors.hpp"
#include "pollux/mem/mbuf.hpp"

/// Two 64-bit words side by side, for the paths that work with NEON.
namespace pollux::drivers::intel::neon {

POLLUX_ALWAYS_INLINE uint64x2_t pair(std::uint64_t first, std::uint64_t second) noexcept {
  return vcombine_u64(vcreate_u64(first), vcreate_u64(second));
}

POLLUX_ALWAYS_INLINE uint64x2_t pair(const Mbuf* first, const Mbuf* second) noexcept {
  return pair(reinterpret_cast<std::uintptr_t>(first), reinterpret_cast<std::uintptr_t>(second));
}

/// One word of each of two descriptors that the card may be writing.
POLLUX_ALWAYS_INLINE uint64x2_t load(const std::uint64_t& first, const std::uint64_t& second) noexcept {
  return pair(__atomic_load_n(&first, __ATOMIC_RELAXED), __atomic_load_n(&second, __ATOMIC_RELAXED));
}

/// Descriptors whose low words are `low` and whose high ones are `high`.
POLLUX_ALWAYS_INLINE void store(hw::intel::Descriptor* descriptors, uint64x2_t low, uint64x2_t high) noexcept {
  vst1q_u64(&descriptors[0].lo, vzip1q_u64(low, high));
  vst1q_u64(&descriptors[1].lo, vzip2q_u64(low, high));
}

/// What is wrong with a write-back's status above, and the length beyond the shortest below: more than any span unless
/// the frame is plain.
POLLUX_ALWAYS_INLINE uint64x2_t beyond_shortest(uint64x2_t status, uint64x2_t mask, uint64x2_t expected) noexcept {
  const uint64x2_t left = vsubq_u64(vandq_u64(status, mask), expected);
  return vreinterpretq_u64_u32(vrev64q_u32(vreinterpretq_u32_u64(left)));
}

/// Whether one of four words is more than `most`.
POLLUX_ALWAYS_INLINE bool any_above(uint64x2_t words, uint64x2_t others, uint64x2_t most) noexcept {
  const uint64x2_t above = vorrq_u64(vcgtq_u64(words, most), vcgtq_u64(others, most));
  return vmaxvq_u32(vreinterpretq_u32_u64(above)) != 0;
}

/// A frame's length where a transmit descriptor has it, twice: as its buffer's and as the packet's.
POLLUX_ALWAYS_INLINE uint64x2_t lengths(uint64x2_t bytes) noexcept {
  return vaddq_u64(bytes, vshlq_n_u64(bytes, hw::intel::tx::kPayloadShift));
}

}  // namespace pollux::drivers::intel::neon
