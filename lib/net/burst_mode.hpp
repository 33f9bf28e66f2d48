// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace pollux {

/// Identifies an x86 processor; empty on others.
struct Processor {
  std::string vendor;   ///< from CPUID: "GenuineIntel", "AuthenticAMD"
  unsigned family = 0;  ///< extended family included
  bool is_tcg = false;  ///< emulated by QEMU's TCG (QEMU, target/i386/cpu.c: the hypervisor leaf)
};

[[nodiscard]] Processor this_processor();

/// Whether AVX-512 bursts were measured to be faster than AVX2 bursts on this processor (docs/performance-details.md).
/// Processors without a measurement count as slower, which a measured Intel Xeon was.
[[nodiscard]] bool is_faster_with_avx512(const Processor& processor) noexcept;

}  // namespace pollux
