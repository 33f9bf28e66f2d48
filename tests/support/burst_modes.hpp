// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/net/burst_mode.hpp"

namespace pollux::test {

/// The paths of this architecture, besides the scalar one and all, whether the processor has them or not.
#if defined(__aarch64__)
inline constexpr BurstMode kWidePaths[] = {BurstMode::neon};
inline constexpr BurstMode kBurstModes[] = {BurstMode::scalar, BurstMode::neon};
#else
inline constexpr BurstMode kWidePaths[] = {BurstMode::avx2, BurstMode::avx512};
inline constexpr BurstMode kBurstModes[] = {BurstMode::scalar, BurstMode::avx2, BurstMode::avx512};
#endif

}  // namespace pollux::test
