// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace pollux::bench {

/// Flushes these bytes from the processor's caches. A barrier (_mm_mfence) follows once for all.
inline void flush_lines(const void* address, std::uint32_t bytes) {
  constexpr std::uint32_t kLine = 64;
  const auto first = reinterpret_cast<std::uintptr_t>(address) & ~std::uintptr_t{kLine - 1};
  for (std::uintptr_t line = first; line < reinterpret_cast<std::uintptr_t>(address) + bytes; line += kLine) {
    _mm_clflushopt(reinterpret_cast<void*>(line));
  }
}

}  // namespace pollux::bench
