// SPDX-License-Identifier: BSD-3-Clause
#pragma once

/// Placement of code that the hot path depends on; see docs/performance.md for what each is worth.
#define POLLUX_ALWAYS_INLINE inline __attribute__((always_inline))
/// Kept out of the hot functions' cache lines and registers.
#define POLLUX_COLD __attribute__((noinline, cold))
/// A function whose speed must not depend on what the linker puts in front of it.
#define POLLUX_HOT __attribute__((noinline, hot, aligned(64)))

namespace pollux {

/// Adds to a counter that one thread writes and others read.
template <class Counter>
POLLUX_ALWAYS_INLINE void bump(Counter& counter, Counter by) noexcept {
  __atomic_store_n(&counter, static_cast<Counter>(counter + by), __ATOMIC_RELAXED);
}

template <class Counter>
[[nodiscard]] POLLUX_ALWAYS_INLINE Counter read_counter(const Counter& counter) noexcept {
  return __atomic_load_n(&counter, __ATOMIC_RELAXED);
}

}  // namespace pollux
