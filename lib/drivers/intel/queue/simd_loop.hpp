// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "base/compiler.hpp"
#include "hw/intel/descriptors.hpp"

namespace pollux::drivers::intel {

/// The loop that all SIMD bursts share.
/// - `Step` is made from the fast-path parameters, which it keeps in vector registers. It handles the `kFrames` frames
///   from index `i` on, or none: it returns false and changes nothing if one of them needs the slow path.
/// - `Next` does the same with one frame.
/// - `descriptors` is the end of the run in the ring to which steps are aligned: with Step::kAligned each step starts
///   at a cache line.
/// Returns the index of the first frame that needs the slow path, or 0 at the run's end.
template <class Step, auto Next, class FastPath, class Run>
POLLUX_ALWAYS_INLINE std::intptr_t simd_loop(const FastPath& fast_path, const Run& run,
                                             const hw::intel::Descriptor* descriptors, std::intptr_t i) noexcept {
  if constexpr (Step::kAligned) {
    while ((reinterpret_cast<std::uintptr_t>(descriptors + i) & 63) != 0) {
      if (!Next(fast_path, run, i) || ++i == 0) return i;
    }
  }
  if constexpr (Step::kEnabled) {
    if (i <= -Step::kFrames) {
      const Step step(fast_path);
      do {
        if (!step(run, i)) break;
        i += Step::kFrames;
      } while (i <= -Step::kFrames);
    }
  }
  // The frames after the last whole step, or those up to the first that needs the slow path.
  while (i != 0 && Next(fast_path, run, i)) ++i;
  return i;
}

}  // namespace pollux::drivers::intel
