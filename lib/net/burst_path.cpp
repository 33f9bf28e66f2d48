// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/burst_path.hpp"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "base/compiler.hpp"

namespace pollux {
namespace {

constexpr std::array kAll = {BurstPath::best, BurstPath::scalar, BurstPath::avx2, BurstPath::avx512, BurstPath::neon};

// Whether this is QEMU's TCG, by the hypervisor's leaf of CPUID (QEMU, target/i386/cpu.c).
bool is_emulated() noexcept {
#if defined(__x86_64__)
  constexpr unsigned kHypervisorLeaf = 0x40000000;
  unsigned eax = 0;
  std::array<unsigned, 3> signature{};
  unsigned features = 0;
  if (__get_cpuid(1, &eax, &signature[0], &features, &signature[2]) == 0 || (features >> 31 & 1) == 0) return false;
  __cpuid(kHypervisorLeaf, eax, signature[0], signature[1], signature[2]);
  return std::memcmp(signature.data(), "TCGTCGTCGTCG", sizeof signature) == 0;
#else
  return false;
#endif
}

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

BurstPath widest(BurstPath path) noexcept {
  if (path != BurstPath::best) return path;
#if defined(POLLUX_THREAD_SANITIZER)
  // It knows atomic loads for what they are; a vector that is loaded at once it takes for a race with the card.
  return BurstPath::scalar;
#endif
  // It calls a function for each vector instruction: l2fwd on its igb forwards half as much again without.
  if (is_emulated()) return BurstPath::scalar;
  for (const BurstPath wide : {BurstPath::avx512, BurstPath::avx2, BurstPath::neon}) {
    if (processor_has(wide)) return wide;
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
