# SPDX-License-Identifier: BSD-3-Clause
"""What the demo says while it works."""

import os
import sys
import time

STARTED = int(os.environ.get("POLLUX_STARTED", time.time()))


class Progress:
    """Shows the progress in one line of a terminal; prints nothing elsewhere."""

    def __init__(self, count: int, what: str):
        self._count, self._what = count, what

    def __call__(self, done: int) -> None:
        if sys.stderr.isatty():
            print(f"\r  {self._what}: {done} of {self._count} frames ", end="", file=sys.stderr, flush=True)
            if done + 1024 > self._count:
                print("\r\033[K", end="", file=sys.stderr, flush=True)


def tell(text: str) -> None:
    """As `say` of tools/lib/messages.sh: with the seconds since the demo's start."""
    print(f"[{int(time.time()) - STARTED:4} s] {text}", file=sys.stderr, flush=True)
