// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/burst_mode.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <array>
#include <string_view>

#include "base/compiler.hpp"
#include "net/burst_mode.hpp"

namespace pollux {
namespace {

struct Measured {
  std::string_view vendor;
  unsigned family;
};
/// Zen 5.
constexpr std::array kQuickerWithAvx512{Measured{"AuthenticAMD", 0x1A}};

#if defined(__x86_64__)

struct Leaf {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

/// All zero if the processor does not have the leaf.
Leaf read_leaf(unsigned number) noexcept {
  Leaf leaf;
  static_cast<void>(__get_cpuid(number, &leaf.eax, &leaf.ebx, &leaf.ecx, &leaf.edx));
  return leaf;
}

std::string text_of(std::array<unsigned, 3> words) {
  return {reinterpret_cast<const char*>(words.data()), sizeof words};
}

// Asks for the leaf only if the processor reports a hypervisor. Uses __cpuid: __get_cpuid would reject the leaf as too
// high.
bool has_tcg(const Leaf& features) {
  constexpr unsigned kHypervisorLeaf = 0x40000000;
  if ((features.ecx >> 31 & 1) == 0) return false;
  Leaf leaf;
  __cpuid(kHypervisorLeaf, leaf.eax, leaf.ebx, leaf.ecx, leaf.edx);
  return text_of({leaf.ebx, leaf.ecx, leaf.edx}) == "TCGTCGTCGTCG";
}

#endif

constexpr std::array kAll = {BurstMode::best, BurstMode::scalar, BurstMode::avx2, BurstMode::avx512, BurstMode::neon};

}  // namespace

Processor this_processor() {
  Processor processor;
#if defined(__x86_64__)
  const Leaf vendor = read_leaf(0);
  const Leaf features = read_leaf(1);
  processor.vendor = text_of({vendor.ebx, vendor.edx, vendor.ecx});
  const unsigned family = features.eax >> 8 & 0xF;
  processor.family = family == 0xF ? family + (features.eax >> 20 & 0xFF) : family;
  processor.is_tcg = has_tcg(features);
#endif
  return processor;
}

bool is_faster_with_avx512(const Processor& processor) noexcept {
  return std::any_of(kQuickerWithAvx512.begin(), kQuickerWithAvx512.end(), [&](const Measured& measured) {
    return processor.vendor == measured.vendor && processor.family == measured.family;
  });
}

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
