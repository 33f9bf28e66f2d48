// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "base/compiler.hpp"
#include "hw/intel/descriptors.hpp"
#include "pollux/mem/mbuf.hpp"

/// Helpers of the NEON bursts. A vector holds two 64-bit words.
namespace pollux::drivers::intel::neon {

POLLUX_ALWAYS_INLINE uint64x2_t pair(std::uint64_t first, std::uint64_t second) noexcept {
  return vcombine_u64(vcreate_u64(first), vcreate_u64(second));
}

POLLUX_ALWAYS_INLINE uint64x2_t pair(const Mbuf* first, const Mbuf* second) noexcept {
  return pair(reinterpret_cast<std::uintptr_t>(first), reinterpret_cast<std::uintptr_t>(second));
}

/// Loads one word of each of two descriptors while the card may write them.
POLLUX_ALWAYS_INLINE uint64x2_t load(const std::uint64_t& first, const std::uint64_t& second) noexcept {
  return pair(__atomic_load_n(&first, __ATOMIC_RELAXED), __atomic_load_n(&second, __ATOMIC_RELAXED));
}

/// Stores two descriptors with the low words `low` and the high words `high`.
POLLUX_ALWAYS_INLINE void store(hw::intel::Descriptor* descriptors, uint64x2_t low, uint64x2_t high) noexcept {
  vst1q_u64(&descriptors[0].lo, vzip1q_u64(low, high));
  vst1q_u64(&descriptors[1].lo, vzip2q_u64(low, high));
}

/// The length less the shortest one in the low half of each word, and the status mismatch in the high half. The word is
/// above every limit if the frame needs the slow path.
POLLUX_ALWAYS_INLINE uint64x2_t excess_of(uint64x2_t status, uint64x2_t mask, uint64x2_t expected) noexcept {
  const uint64x2_t left = vsubq_u64(vandq_u64(status, mask), expected);
  return vreinterpretq_u64_u32(vrev64q_u32(vreinterpretq_u32_u64(left)));
}

/// Whether one of the four words of `first` and `second` is above `limit`.
POLLUX_ALWAYS_INLINE bool any_above(uint64x2_t first, uint64x2_t second, uint64x2_t limit) noexcept {
  const uint64x2_t above = vorrq_u64(vcgtq_u64(first, limit), vcgtq_u64(second, limit));
  return vmaxvq_u32(vreinterpretq_u32_u64(above)) != 0;
}

/// The two length fields of a transmit descriptor, buffer and packet, both with the value `bytes`.
POLLUX_ALWAYS_INLINE uint64x2_t lengths(uint64x2_t bytes) noexcept {
  return vaddq_u64(bytes, vshlq_n_u64(bytes, hw::intel::tx::kPayloadShift));
}

}  // namespace pollux::drivers::intel::neon
