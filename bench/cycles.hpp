// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <x86intrin.h>

#include <cstdint>

namespace pollux::bench {

/// Reads the time stamp counter after all earlier instructions have finished and before any later one begins (Intel
/// SDM, RDTSC).
inline std::uint64_t start_cycles() noexcept {
  _mm_mfence();
  _mm_lfence();
  const std::uint64_t now = __rdtsc();
  _mm_lfence();
  return now;
}

inline std::uint64_t stop_cycles() noexcept {
  unsigned processor = 0;
  const std::uint64_t now = __rdtscp(&processor);
  _mm_lfence();
  return now;
}

/// The cost of the two calls themselves, which must be subtracted.
[[nodiscard]] double overhead_cycles();

/// Ticks of the time stamp counter per second, measured against the monotonic clock.
[[nodiscard]] double cycles_per_second();

/// Counts the instructions between `start` and `stop` by single-stepping them with the trap flag: exact, and needs no
/// performance counters. Installs a SIGTRAP handler for as long as it lives.
class InstructionCounter {
 public:
  /// Also counts how often one of these two words changes; they may be null.
  explicit InstructionCounter(const volatile std::uint32_t* first = nullptr,
                              const volatile std::uint32_t* second = nullptr);
  InstructionCounter(const InstructionCounter&) = delete;
  InstructionCounter& operator=(const InstructionCounter&) = delete;
  ~InstructionCounter();

  __attribute__((always_inline)) void start() noexcept {
    reset();
    __asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq" ::: "memory", "cc");
  }
  __attribute__((always_inline)) std::uint64_t stop() noexcept {
    __asm__ volatile("pushfq\n andq $~0x100, (%%rsp)\n popfq" ::: "memory", "cc");
    return count();
  }

  /// Changes of the two words since the counter was made.
  [[nodiscard]] static std::uint64_t changes() noexcept;

 private:
  static void reset() noexcept;
  [[nodiscard]] static std::uint64_t count() noexcept;
};

}  // namespace pollux::bench
