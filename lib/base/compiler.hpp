// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

/// Attributes for the hot path; docs/performance.md says what each is worth.
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
  // One instruction, which other threads see as one store. GCC makes three of an atomic load, an addition and an atomic
  // store.
  __asm__("addq %1, %0" : "+m"(counter) : "re"(by));
#else
  __atomic_store_n(&counter, counter + by, __ATOMIC_RELAXED);
#endif
}

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

template <class Counter>
[[nodiscard]] POLLUX_ALWAYS_INLINE Counter read_counter(const Counter& counter) noexcept {
  Counter value;
  __atomic_load(&counter, &value, __ATOMIC_RELAXED);
  return value;
}

}  // namespace pollux
