// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

#include "pollux/base/counter.hpp"

/// Attributes for the hot path; docs/performance-details.md says what each is worth.
#define POLLUX_ALWAYS_INLINE inline __attribute__((always_inline))
/// For code that must not take cache lines or registers from hot functions.
#define POLLUX_COLD __attribute__((noinline, cold))
/// The same for code that handles long frames: still optimised for speed.
#define POLLUX_NOINLINE __attribute__((noinline))
/// For functions whose speed must not depend on their address.
#define POLLUX_HOT __attribute__((noinline, hot, aligned(64)))
/// Inlines everything that the function calls, so that code for a newer instruction set calls none for an older one.
#define POLLUX_FLATTEN __attribute__((flatten))

namespace pollux {

/// Bytes between what different threads write. A processor also fetches lines next to those that it uses, and beyond
/// the end of an array, and so takes them from the thread that writes them. What less costs was measured:
/// docs/performance-details.md, "Two threads".
///@{
inline constexpr std::size_t kApart = 256;              ///< alignment of what each burst writes
inline constexpr std::size_t kApartFromStream = 8'192;  ///< behind a ring
///@}

/// Returns `value`, about which the compiler then knows nothing: it neither computes it again from its parts nor moves
/// the computation to where it is not needed.
template <class Value>
[[nodiscard]] POLLUX_ALWAYS_INLINE Value opaque(Value value) noexcept {
  __asm__("" : "+r"(value));
  return value;
}

/// Makes the compiler read memory again instead of keeping values of it in registers: no instruction, and one less to
/// save and restore for each register. Where a value is used as an operand in memory, reading it again costs nothing.
POLLUX_ALWAYS_INLINE void forget_memory() noexcept { __asm__ volatile("" : : : "memory"); }

/// Stores a value that one thread writes and others may read.
template <class Value>
POLLUX_ALWAYS_INLINE void publish(Value& target, Value value) noexcept {
  // Not __atomic_store_n: with clang it takes no enum.
  __atomic_store(&target, &value, __ATOMIC_RELAXED);
}

}  // namespace pollux
