// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace pollux::bench {

/// Makes the compiler believe that someone looks at `value`, and at memory.
template <class T>
inline __attribute__((always_inline)) void do_not_optimize(const T& value) {
  __asm__ volatile("" : : "r,m"(value) : "memory");
}

}  // namespace pollux::bench
