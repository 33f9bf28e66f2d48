// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace pollux::test {

/// Whether this program was built with the address or the thread sanitizer, which make it several times slower. Tests
/// that repeat something many times repeat it less often then.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace pollux::test
