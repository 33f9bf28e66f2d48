// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#elif !defined(__aarch64__)
#include <chrono>
#endif

namespace pollux::examples {

/// Reads the time stamp counter, or the processor's equivalent. It has a constant rate, `ticks_per_second`, and costs a
/// few cycles to read.
[[nodiscard]] inline std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
  return __rdtsc();
#elif defined(__aarch64__)
  std::uint64_t value;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
  return value;
#else
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

/// Measured against the machine's clock; takes 20 ms.
[[nodiscard]] double measure_ticks_per_second();

}  // namespace pollux::examples
