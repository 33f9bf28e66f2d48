// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/burst_mode.hpp"

#include <array>

#include "base/compiler.hpp"
#include "net/processor.hpp"

namespace pollux {
namespace {

constexpr std::array kAll = {BurstMode::best, BurstMode::scalar, BurstMode::avx2, BurstMode::avx512, BurstMode::neon};

}  // namespace

bool processor_has(BurstMode mode) noexcept {
  switch (mode) {
    case BurstMode::best:
    case BurstMode::scalar: return true;
#if defined(__x86_64__)
    // The compiler's run-time library checks the processor and whether the kernel saves the registers.
    case BurstMode::avx2: return __builtin_cpu_supports("avx2") != 0;
    case BurstMode::avx512:
      return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("avx512f") != 0 &&
             __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
             __builtin_cpu_supports("avx512vl") != 0;
#elif defined(__aarch64__)
    case BurstMode::neon: return true;
#endif
    default: return false;
  }
}

BurstMode best_of(BurstMode mode) noexcept {
  if (mode != BurstMode::best) return mode;
#if defined(POLLUX_THREAD_SANITIZER)
  // The sanitizer understands atomic loads, but reports a SIMD load of descriptors as a race with the card.
  return BurstMode::scalar;
#endif
  // TCG calls a function for each SIMD instruction: on QEMU's igb, l2fwd forwards 1.5 times as many frames in scalar
  // mode.
  if (this_processor().is_tcg) return BurstMode::scalar;
  if (processor_has(BurstMode::avx512) && is_faster_with_avx512(this_processor())) return BurstMode::avx512;
  for (const BurstMode simd : {BurstMode::avx2, BurstMode::neon}) {
    if (processor_has(simd)) return simd;
  }
  return BurstMode::scalar;
}

std::string_view name(BurstMode mode) noexcept {
  switch (mode) {
    case BurstMode::best: return "best";
    case BurstMode::scalar: return "scalar";
    case BurstMode::avx2: return "avx2";
    case BurstMode::avx512: return "avx512";
    case BurstMode::neon: return "neon";
  }
  return "unknown";
}

std::optional<BurstMode> burst_mode_of(std::string_view text) noexcept {
  for (const BurstMode mode : kAll) {
    if (name(mode) == text) return mode;
  }
  return std::nullopt;
}

}  // namespace pollux
