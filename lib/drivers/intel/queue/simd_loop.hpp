// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "base/compiler.hpp"
#include "hw/intel/descriptors.hpp"

namespace pollux::drivers::intel {

/// The loop of all bursts that handle several frames at once, whatever the instruction set. A `Step` is made from the
/// rule, which loads its constants, and handles `kFrames` frames of the run from `i` on, or none: it returns false,
/// with nothing changed, if one of them is not plain. `Next` does the same with one frame.
/// Returns the slot of the first frame that is not plain, or 0 at the run's end. `descriptors` is the end of the run in
/// the ring that decides: with Step::kAligned a step begins at a cache line of it.
template <class Step, auto Next, class Rule, class Run>
POLLUX_ALWAYS_INLINE std::intptr_t simd_loop(const Rule& rule, const Run& run, const hw::intel::Descriptor* descriptors,
                                             std::intptr_t i) noexcept {
  if constexpr (Step::kAligned) {
    while ((reinterpret_cast<std::uintptr_t>(descriptors + i) & 63) != 0) {
      if (!Next(rule, run, i) || ++i == 0) return i;
    }
  }
  if (Step::kEnabled && i <= -Step::kFrames) {
    const Step step(rule);
    do {
      if (!step(run, i)) break;
      i += Step::kFrames;
    } while (i <= -Step::kFrames);
  }
  // What is left of the run, or the step in which something is not plain.
  while (i != 0 && Next(rule, run, i)) ++i;
  return i;
}

}  // namespace pollux::drivers::intel
