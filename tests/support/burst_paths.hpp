// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/net/burst_path.hpp"

namespace pollux::test {

/// The paths of this architecture, besides the scalar one and all, whether the processor has them or not.
#if defined(__aarch64__)
inline constexpr BurstPath kWidePaths[] = {BurstPath::neon};
inline constexpr BurstPath kBurstPaths[] = {BurstPath::scalar, BurstPath::neon};
#else
inline constexpr BurstPath kWidePaths[] = {BurstPath::avx2, BurstPath::avx512};
inline constexpr BurstPath kBurstPaths[] = {BurstPath::scalar, BurstPath::avx2, BurstPath::avx512};
#endif

}  // namespace pollux::test
