# SPDX-License-Identifier: BSD-3-Clause
"""How long a run of tools/test will still take: from what its steps cost when that was measured, and how fast this run was so far."""

import threading
import time

from .processors import processors
from .steps import Step

EARLY = 0.05  # the share of a run before which its speed says little


class Progress:
    """Two threads may use it."""

    def __init__(self, steps: list[Step], depth: str, clock=time.monotonic):
        self._costs = {step.name: step.cost.get(depth, 0) for step in steps}
        self._shares = dict.fromkeys(self._costs, 0.0)
        self._clock, self._begun = clock, clock()
        self._changing = threading.Lock()

    def reached(self, step: str, share: float) -> str:
        """Notes that this share of the step is done; returns how long is left, as a text that follows others."""
        with self._changing:
            self._shares[step] = max(self._shares[step], min(share, 1.0))
            return self._left()

    def _left(self) -> str:
        total = sum(self._costs.values())
        done = sum(cost * self._shares[name] for name, cost in self._costs.items())
        if not total:
            return ""
        elapsed = self._clock() - self._begun
        # At first as if the machine were the one that was measured, with all processors busy, or as slow as it has shown to be.
        early = EARLY * total
        pace = elapsed / done if done > early else max(1 / processors(), elapsed / early)
        return f"; some {max(1, round((total - done) * pace / 60))} min left" if done < total else ""
