// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

namespace pollux::test {

inline constexpr std::size_t kKi = 1024;
inline constexpr std::size_t kMi = 1024 * kKi;
inline constexpr std::size_t kTwoMi = 2 * kMi;
inline constexpr std::size_t kGi = 1024 * kMi;

}  // namespace pollux::test
