// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/net/burst_mode.hpp"

namespace pollux::test {

/// The SIMD modes and all modes of this architecture, whether the processor supports them or not.
#if defined(__aarch64__)
inline constexpr BurstMode kSimdModes[] = {BurstMode::neon};
inline constexpr BurstMode kBurstModes[] = {BurstMode::scalar, BurstMode::neon};
#else
inline constexpr BurstMode kSimdModes[] = {BurstMode::avx2, BurstMode::avx512};
inline constexpr BurstMode kBurstModes[] = {BurstMode::scalar, BurstMode::avx2, BurstMode::avx512};
#endif

}  // namespace pollux::test
