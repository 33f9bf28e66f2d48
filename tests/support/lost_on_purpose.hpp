// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define POLLUX_TEST_LEAKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POLLUX_TEST_LEAKS 1
#endif
#endif
#if POLLUX_TEST_LEAKS
#include <sanitizer/lsan_interface.h>
#endif

namespace pollux::test {

/// While an object exists, what the library allocates and abandons is no leak.
class [[maybe_unused]] LostOnPurpose {
#if POLLUX_TEST_LEAKS
  __lsan::ScopedDisabler disabler_;
#endif
};

}  // namespace pollux::test
