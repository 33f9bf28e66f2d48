# SPDX-License-Identifier: BSD-3-Clause
"""The summary of a run of tools/test: what passed, failed or was skipped and why, and how long each step took."""

import dataclasses
import json
import pathlib
import time

from .junit import Result

FORMAT = 1  # of results.json
LONGEST_REASON = 4000  # characters of the end of a failure's output


@dataclasses.dataclass(frozen=True)
class StepTime:
    name: str
    seconds: float
    processor_seconds: float
    taken_over: str = ""  # when the step ran, if an earlier run ran it


class Summary:
    def __init__(self):
        self.results: list[Result] = []
        self._steps: list[StepTime] = []
        self._start = time.monotonic()

    def add(self, *results: Result) -> None:
        self.results += results

    def took(self, step: StepTime) -> None:
        self._steps.append(step)

    def elapsed(self) -> float:
        """Seconds since the run began. Some steps run beside others, so this is less than their sum."""
        return time.monotonic() - self._start

    def processor_seconds(self) -> float:
        """Of all steps of this run."""
        return sum(step.processor_seconds for step in self._steps if not step.taken_over)

    def skipped_once(self) -> list[tuple[str, str, list[str]]]:
        """Name, reason and suites of each skipped test. The same test with the same reason in two builds counts once."""
        suites: dict[tuple[str, str], list[str]] = {}
        for result in self.results:
            if result.state == "skipped":
                there = suites.setdefault((result.name, " ".join(result.detail.split())), [])
                if result.suite not in there:
                    there.append(result.suite)
        return [(name, reason, there) for (name, reason), there in suites.items()]

    def counts(self) -> dict[str, int]:
        return {"passed": sum(result.state == "passed" for result in self.results),
                "failed": sum(result.state == "failed" for result in self.results),
                "skipped": len(self.skipped_once())}

    def write(self, path: pathlib.Path, **facts) -> None:
        """Writes everything as JSON: `counts` as in the last line, `steps`, and every result with its suite, state,
        seconds and, if it did not pass, its reason."""
        path.write_text(json.dumps({
            "format": FORMAT, **facts, "counts": self.counts(), "seconds": round(self.elapsed(), 1),
            "processor_seconds": round(self.processor_seconds(), 1),
            "steps": [{"name": step.name, "seconds": round(step.seconds, 1), "processor_seconds": round(step.processor_seconds, 1),
                       **({"taken_over": step.taken_over} if step.taken_over else {})} for step in self._steps],
            "results": [{"suite": result.suite, "name": result.name, "state": result.state, "seconds": round(result.seconds, 3),
                         "reason": result.detail[-LONGEST_REASON:]} for result in self.results],
        }, indent=1) + "\n")

    def lines(self) -> list[str]:
        """The text output without the last line: each skipped test once, the times of each step, and what failed."""
        lines = []
        for name, reason, suites in self.skipped_once():
            where = ", ".join(suite for suite in suites if suite)
            lines.append(f"skipped: {name}{f' ({where})' if where else ''}: {reason}")
        lines.append(f"{'step':<28} {'seconds':>10} {'processor seconds':>18}")
        lines += [f"{step.name:<28} {step.seconds:10.1f} {step.processor_seconds:18.1f}"
                  f"{f'  taken over, it ran {step.taken_over}' if step.taken_over else ''}" for step in self._steps]
        lines.append(f"{'total of this run':<28} {self.elapsed():10.1f} {self.processor_seconds():18.1f}")
        lines += [f"failed: {result.name}{f' ({result.suite})' if result.suite else ''}"
                  for result in self.results if result.state == "failed"]
        return lines

    def last_line(self) -> str:
        counts = self.counts()
        return f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"

    def status(self) -> int:
        counts = self.counts()
        return 1 if counts["failed"] or not counts["passed"] else 0
