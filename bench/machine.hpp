// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

namespace pollux::bench {

/// The processor's name, as the kernel has it.
[[nodiscard]] std::string processor();
/// The number of free huge pages, or "unknown".
[[nodiscard]] std::string free_huge_pages();

inline constexpr std::string_view kCompiler =
#if defined(__clang__)
    "clang " __clang_version__;
#else
    "gcc " __VERSION__;
#endif

}  // namespace pollux::bench
