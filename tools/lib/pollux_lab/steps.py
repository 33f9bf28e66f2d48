# SPDX-License-Identifier: BSD-3-Clause
"""What a step of tools/test is, and what its function can do."""

import dataclasses
import pathlib
import re
import time
from collections.abc import Callable, Mapping

from .commands import Commands, tell
from .junit import Result
from .summary import Summary

REASON_LINES = 12  # of the end of what a failed case says
# A sanitizer reports at the place of the fault, long before the end of the output. Its stacks have up to 60 frames each.
REPORT = re.compile(r"(WARNING|ERROR): \w+Sanitizer|: runtime error: ")
REPORT_LINES = 120


# How much a run does, each with all of the one before. plain: what shows a stranger that Pollux works on this machine. ci: what a change
# has to pass. full: the long tests, too.
PLAIN, CI, FULL = DEPTHS = ("plain", "ci", "full")


@dataclasses.dataclass(frozen=True)
class Options:
    """What the user asked for."""
    root: pathlib.Path
    kernel: str = ""  # the folder of the guest's kernel
    depth: str = PLAIN
    only: tuple[str, ...] = ()
    quick: bool = False
    resume: bool = False

    @property
    def whole(self) -> bool:
        """Whether all steps of this depth run."""
        return not self.only and not self.quick

    def reaches(self, depth: str) -> bool:
        return DEPTHS.index(self.depth) >= DEPTHS.index(depth)


@dataclasses.dataclass(frozen=True)
class Step:
    """A row of the table of steps."""
    name: str
    what: str
    function: Callable[["StepRun"], bool | None]  # False if what it makes for other steps is not there
    needs: tuple[str, ...] = ()  # the steps that make what this one uses
    depth: str = PLAIN  # the shortest run that has it
    cost: Mapping[str, float] = dataclasses.field(default_factory=dict)  # processor seconds of this step by depth, as they were measured
    packages: tuple[str, ...] = ()  # roles of tools/lib/packages.sh, and qemu, kernel and kernel-files
    full_packages: tuple[str, ...] = ()  # in addition, for --full


def reason(detail: str) -> list[str]:
    """The lines that say why a case failed: a sanitizer's first report, or the end of its output."""
    lines = detail.strip().splitlines()
    for place, line in enumerate(lines):
        if REPORT.search(line):
            return lines[place:place + REPORT_LINES]
    return lines[-REASON_LINES:]


class StepRun:
    """A step that runs. Its function runs commands and collects results with this."""

    def __init__(self, options: Options, commands: Commands, earlier: Summary, reached: Callable[[float], str] = lambda share: ""):
        self.options, self.earlier = options, earlier
        self.reached = reached  # notes which share of the step is done; returns what to say of the time that is left
        self.root, self.depth, self.full = options.root, options.depth, options.depth == FULL
        self.reports = reports_of(options.root)
        self.results: list[Result] = []
        self.processor_seconds = 0.0
        self._commands = commands

    def build_folder(self, preset: str) -> pathlib.Path:
        return self.root / "build" / preset

    def command(self, words: list[str], log: pathlib.Path | None = None, told: Callable[[str], None] | None = None) -> int:
        status, seconds = self._commands.run(words, log, told)
        self.processor_seconds += seconds
        return status

    def part(self, name: str, words: list[str], told: Callable[[str], None] | None = None) -> bool:
        """Runs a command that is a result by itself."""
        start = time.monotonic()
        status = self.command(words, self.reports / f"{name}.log", told)
        seconds = time.monotonic() - start
        self.results.append(Result(name, "failed" if status else "passed", seconds, suite="step"))
        tell(f"{'FAIL' if status else 'PASS':<9} {name} ({seconds:.1f} s)")
        return status == 0

    def collect(self, suite: str, results: list[Result], status: int) -> None:
        self.results += results
        for result in results:
            if result.state == "failed":
                tell("\n  | ".join([f"FAIL      {suite}: {result.name}", *reason(result.detail)]))
        # A runner that died has failed, whatever it wrote before, and so has one that ran nothing.
        if not any(result.state == "failed" for result in results) and (status != 0 or not results):
            self.results.append(Result(suite, "failed", detail=f"it ended with status {status}", suite=suite))
            tell(f"FAIL      {suite} ended with status {status} and {len(results)} results")

    def left_out(self, name: str, why: str, suite: str = "run", remedy: str = "--full runs it") -> None:
        self.results.append(left_out(name, why, suite, remedy))


def left_out(name: str, why: str, suite: str = "run", remedy: str = "--full runs it") -> Result:
    return Result(name, "skipped", 0, f"{why} ({remedy})", suite)


def reports_of(root: pathlib.Path) -> pathlib.Path:
    return root / "build/test-reports"
