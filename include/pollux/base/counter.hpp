// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace pollux {

#if defined(__SANITIZE_THREAD__)
#define POLLUX_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define POLLUX_THREAD_SANITIZER 1
#endif
#endif

/// Adds to a counter that one thread writes and others read.
__attribute__((always_inline)) inline void add_to(std::uint64_t& counter, std::uint64_t by) noexcept {
#if defined(__x86_64__) && !defined(POLLUX_THREAD_SANITIZER)
  // One instruction, which other threads see as one store. GCC makes three of an atomic load, an addition and an atomic
  // store.
  __asm__("addq %1, %0" : "+m"(counter) : "re"(by));
#else
  __atomic_store_n(&counter, counter + by, __ATOMIC_RELAXED);
#endif
}
/// The same for a counter of 32 bits, which wraps.
__attribute__((always_inline)) inline void add_to(std::uint32_t& counter, std::uint32_t by) noexcept {
#if defined(__x86_64__) && !defined(POLLUX_THREAD_SANITIZER)
  __asm__("addl %1, %0" : "+m"(counter) : "re"(by));
#else
  __atomic_store_n(&counter, counter + by, __ATOMIC_RELAXED);
#endif
}

/// Reads a value that another thread may be writing.
template <class Counter>
[[nodiscard]] __attribute__((always_inline)) inline Counter read_counter(const Counter& counter) noexcept {
  Counter value;
  __atomic_load(&counter, &value, __ATOMIC_RELAXED);
  return value;
}

}  // namespace pollux
