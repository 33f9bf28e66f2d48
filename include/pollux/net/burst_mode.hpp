// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "pollux/base/api.hpp"

namespace pollux {

/// With which instructions rx_burst and tx_burst work. All do the same, to the same frames; they differ in speed.
enum class BurstMode : std::uint8_t {
  best,    ///< the quickest that processor, driver and memory allow, as far as that was measured
  scalar,  ///< the reference: any processor, a frame at a time
  avx2,    ///< x86-64 with AVX2
  avx512,  ///< x86-64 with AVX-512 F, BW, DQ and VL
  neon,    ///< aarch64
};

/// Whether this processor, under this kernel, can run `mode`.
[[nodiscard]] POLLUX_API bool processor_has(BurstMode mode) noexcept;

/// `mode` itself, or for `best` what is quickest here: AVX2, or AVX-512 on processors that were measured to be quicker
/// with it; scalar where QEMU's TCG emulates the processor, whose vectors are slow.
[[nodiscard]] POLLUX_API BurstMode best_of(BurstMode mode) noexcept;

/// "best", "scalar", "avx2", ...
[[nodiscard]] POLLUX_API std::string_view name(BurstMode mode) noexcept;
[[nodiscard]] POLLUX_API std::optional<BurstMode> burst_mode_of(std::string_view name) noexcept;

}  // namespace pollux
