# SPDX-License-Identifier: BSD-3-Clause
"""Prints progress to standard error, so that standard output contains only figures."""

import sys


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
