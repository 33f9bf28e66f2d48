// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

/// Placement of code that the hot path depends on; see docs/performance.md for what each is worth.
#define POLLUX_ALWAYS_INLINE inline __attribute__((always_inline))
/// Kept out of the hot functions' cache lines and registers.
#define POLLUX_COLD __attribute__((noinline, cold))
/// The same for code that long frames go through: not in the way of short ones, but fast.
#define POLLUX_NOINLINE __attribute__((noinline))
/// A function whose speed must not depend on what the linker puts in front of it.
#define POLLUX_HOT __attribute__((noinline, hot, aligned(64)))
/// Everything that the function calls becomes part of it, so that code for a newer processor calls none for an older.
#define POLLUX_FLATTEN __attribute__((flatten))

namespace pollux {

#if defined(__SANITIZE_THREAD__)
#define POLLUX_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define POLLUX_THREAD_SANITIZER 1
#endif
#endif

/// Adds to a counter that one thread writes and others read.
POLLUX_ALWAYS_INLINE void add_to(std::uint64_t& counter, std::uint64_t by) noexcept {
#if defined(__x86_64__) && !defined(POLLUX_THREAD_SANITIZER)
  // One instruction, which other threads see whole; of an atomic load, an addition and an atomic store GCC makes three.
  __asm__("addq %1, %0" : "+m"(counter) : "re"(by));
#else
  __atomic_store_n(&counter, counter + by, __ATOMIC_RELAXED);
#endif
}

/// Stores what one thread writes and others may look at.
template <class Value>
POLLUX_ALWAYS_INLINE void publish(Value& place, Value value) noexcept {
  // Not __atomic_store_n, whose value may be no enum with clang.
  __atomic_store(&place, &value, __ATOMIC_RELAXED);
}

template <class Counter>
[[nodiscard]] POLLUX_ALWAYS_INLINE Counter read_counter(const Counter& counter) noexcept {
  Counter value;
  __atomic_load(&counter, &value, __ATOMIC_RELAXED);
  return value;
}

}  // namespace pollux
