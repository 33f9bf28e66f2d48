# SPDX-License-Identifier: BSD-3-Clause
"""The number of processors that this process may use, which taskset and containers limit."""

import os


def processors() -> int:
    return len(os.sched_getaffinity(0))
