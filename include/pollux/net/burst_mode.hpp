// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "pollux/base/api.hpp"

namespace pollux {

/// The instructions that rx_burst and tx_burst use. All modes do the same; they differ in speed.
enum class BurstMode : std::uint8_t {
  best,    ///< the mode that is fastest for this processor, driver and memory, according to measurements
  scalar,  ///< the reference: any processor, one frame at a time
  avx2,    ///< x86-64 with AVX2
  avx512,  ///< x86-64 with AVX-512 F, BW, DQ and VL
  neon,    ///< aarch64
};

/// Whether this processor and kernel support `mode`.
[[nodiscard]] POLLUX_API bool processor_has(BurstMode mode) noexcept;

/// Returns `mode` itself or, for `best`, the fastest mode here: AVX-512 on processors on which it was measured to be
/// faster, otherwise AVX2 or NEON. Returns scalar without these, and where QEMU's TCG emulates the processor, since its
/// SIMD instructions are slow.
[[nodiscard]] POLLUX_API BurstMode best_of(BurstMode mode) noexcept;

/// The mode's name: "best", "scalar", "avx2", ...
[[nodiscard]] POLLUX_API std::string_view name(BurstMode mode) noexcept;
/// The mode with that name; empty if there is none.
[[nodiscard]] POLLUX_API std::optional<BurstMode> burst_mode_of(std::string_view name) noexcept;

}  // namespace pollux
