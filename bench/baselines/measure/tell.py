# SPDX-License-Identifier: BSD-3-Clause
"""Progress goes to standard error, so that standard output holds figures only."""

import sys


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
