// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace pollux::bench {

/// Keeps the compiler from removing the computation of `value` or stores to memory.
template <class T>
inline __attribute__((always_inline)) void do_not_optimize(const T& value) {
  __asm__ volatile("" : : "r,m"(value) : "memory");
}

}  // namespace pollux::bench
