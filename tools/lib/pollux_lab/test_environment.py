# SPDX-License-Identifier: BSD-3-Clause
"""The environment of tests, without variables that were set for a single test or that would make tests pass unchecked."""

from collections.abc import Callable, Mapping

# POLLUX_UPDATE_GOLDEN rewrites the expected output, POLLUX_CONFORMANCE_SKIP skips ports, GTEST_FILTER skips any test,
# a sanitizer's options can turn off its checks, and PYTHONOPTIMIZE leaves out what Python tests assert.
PREFIXES = ("POLLUX_", "GTEST_", "CTEST_", "ASAN_", "LSAN_", "UBSAN_", "TSAN_", "PYTHONOPTIMIZE")
# The folder of kernels, the name of the running tool, and whether it has updated apt's lists.
KEPT = ("POLLUX_CACHE", "POLLUX_TOOL", "POLLUX_APT_FRESH")


def without_settings(environment: Mapping[str, str], tell: Callable[[str], None]) -> dict[str, str]:
    """A copy of the environment without these variables; `tell` reports each."""
    left = {}
    for name, value in environment.items():
        if name.startswith(PREFIXES) and name not in KEPT:
            tell(f"IGNORED   {name}={value} of the environment: tests run as they are written")
        else:
            left[name] = value
    return left
