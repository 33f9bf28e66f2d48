// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace pollux {

/// What x86 processors are told apart by; empty on others.
struct Processor {
  std::string vendor;   ///< as CPUID says it: "GenuineIntel", "AuthenticAMD"
  unsigned family = 0;  ///< extended family included
  bool is_tcg = false;  ///< QEMU's TCG emulates it (QEMU, target/i386/cpu.c: the hypervisor's leaf)
};

[[nodiscard]] Processor this_processor();

/// Whether bursts were measured to be quicker with AVX-512 than with AVX2 there (docs/performance.md). What nobody has
/// measured is taken for slower, as an Intel Xeon was.
[[nodiscard]] bool is_quicker_with_avx512(const Processor& processor) noexcept;

}  // namespace pollux
