# SPDX-License-Identifier: BSD-3-Clause
"""The environment of tests: without what somebody left there for one test by hand, and what would make others pass unjudged."""

from collections.abc import Callable, Mapping

# POLLUX_UPDATE_GOLDEN writes what is to be compared, POLLUX_CONFORMANCE_SKIP leaves ports out, GTEST_FILTER leaves out anything,
# and a sanitizer's options can tell it to find nothing.
PREFIXES = ("POLLUX_", "GTEST_", "CTEST_", "ASAN_", "LSAN_", "UBSAN_", "TSAN_")
KEPT = ("POLLUX_CACHE", "POLLUX_TOOL")  # where kernels lie, and who is at work


def without_settings(environment: Mapping[str, str], tell: Callable[[str], None]) -> dict[str, str]:
    """A copy without them; each is told."""
    left = {}
    for name, value in environment.items():
        if name.startswith(PREFIXES) and name not in KEPT:
            tell(f"IGNORED   {name}={value} of the environment: tests run as they are written")
        else:
            left[name] = value
    return left
