// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/burst_path.hpp"

#include <array>

#include "base/compiler.hpp"
#include "net/processor.hpp"

namespace pollux {
namespace {

constexpr std::array kAll = {BurstPath::best, BurstPath::scalar, BurstPath::avx2, BurstPath::avx512, BurstPath::neon};

}  // namespace

bool processor_has(BurstPath path) noexcept {
  switch (path) {
    case BurstPath::best:
    case BurstPath::scalar: return true;
#if defined(__x86_64__)
    // The compiler's run-time asks the processor and whether the kernel saves the registers.
    case BurstPath::avx2: return __builtin_cpu_supports("avx2") != 0;
    case BurstPath::avx512:
      return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("avx512f") != 0 &&
             __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
             __builtin_cpu_supports("avx512vl") != 0;
#elif defined(__aarch64__)
    case BurstPath::neon: return true;
#endif
    default: return false;
  }
}

BurstPath best_of(BurstPath path) noexcept {
  if (path != BurstPath::best) return path;
#if defined(POLLUX_THREAD_SANITIZER)
  // It knows atomic loads for what they are; a vector that is loaded at once it takes for a race with the card.
  return BurstPath::scalar;
#endif
  // It calls a function for each vector instruction: l2fwd on its igb forwards half as much again without.
  if (this_processor().is_tcg) return BurstPath::scalar;
  if (processor_has(BurstPath::avx512) && is_quicker_with_avx512(this_processor())) return BurstPath::avx512;
  for (const BurstPath simd : {BurstPath::avx2, BurstPath::neon}) {
    if (processor_has(simd)) return simd;
  }
  return BurstPath::scalar;
}

std::string_view name(BurstPath path) noexcept {
  switch (path) {
    case BurstPath::best: return "best";
    case BurstPath::scalar: return "scalar";
    case BurstPath::avx2: return "avx2";
    case BurstPath::avx512: return "avx512";
    case BurstPath::neon: return "neon";
  }
  return "unknown";
}

std::optional<BurstPath> burst_path_of(std::string_view text) noexcept {
  for (const BurstPath path : kAll) {
    if (name(path) == text) return path;
  }
  return std::nullopt;
}

}  // namespace pollux
