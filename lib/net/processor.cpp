// SPDX-License-Identifier: BSD-3-Clause
#include "net/processor.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

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

}  // namespace pollux
