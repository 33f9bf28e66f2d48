// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pollux {

/// With which instructions rx_burst and tx_burst work. All do the same, to the same frames; they differ in speed.
enum class BurstPath : std::uint8_t {
  best,    ///< the widest that processor, driver and memory allow; scalar where QEMU's TCG emulates the processor
  scalar,  ///< the reference: any processor, a frame at a time
  avx2,    ///< x86-64 with AVX2
  avx512,  ///< x86-64 with AVX-512 F, BW, DQ and VL
  neon,    ///< aarch64
};

/// Whether this processor, under this kernel, can run `path`.
[[nodiscard]] bool processor_has(BurstPath path) noexcept;

/// `path` itself, or for `best` the widest that the processor has: scalar where it is QEMU's TCG, whose vectors are
/// slow.
[[nodiscard]] BurstPath widest(BurstPath path) noexcept;

/// "best", "scalar", "avx2", ...
[[nodiscard]] std::string_view name(BurstPath path) noexcept;
[[nodiscard]] std::optional<BurstPath> burst_path_of(std::string_view name) noexcept;

}  // namespace pollux
