# SPDX-License-Identifier: BSD-3-Clause
"""What a run of tools/test knows about the state of the sources: what has changed, and what has passed on the same state before."""

import dataclasses
import hashlib
import subprocess
import threading
import time

from .commands import tell
from .errors import LabError
from .finished_steps import FinishedStep, FinishedSteps
from .junit import Result
from .snapshots import Snapshots
from .steps import FULL, Options
from .summary import StepTime

FINISHED = "finished.json"
SHOWN_FILES = 10


def installed_tools() -> str:
    """What else decides results, as a hash: compilers, headers of the system, and emulators."""
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", "cmake", "g++*", "clang*", "libc6-dev", "libstdc++*", "qemu-system*"],
                           capture_output=True)
    return hashlib.sha256(shown.stdout).hexdigest()


class Sources:
    def __init__(self, options: Options):
        self._options = options
        self._snapshots = Snapshots(options.root)
        self._tree = ""  # when the run began
        self._finished: FinishedSteps | None = None  # of --full, unless its steps cannot be taken over
        self._noting = threading.Lock()

    def note(self) -> None:
        """Notes the state when the run begins. --quick needs it; any other run goes on without."""
        try:
            self._tree = self._snapshots.now()
        except LabError as error:
            if self._options.quick:
                raise
            tell(f"git cannot tell the state of the sources, so --quick and --resume will not know of this run: {error}")
            return
        if self._options.depth == FULL and self._options.whole:
            self._finished = FinishedSteps(self._snapshots.folder / FINISHED, f"{self._tree} {installed_tools()}")
            if not self._options.resume:
                self._finished.write()

    def changed(self) -> list[str]:
        """The files that --quick tests."""
        base, what = self._snapshots.base()
        files = self._snapshots.changed(base, self._tree)
        more = f" and {len(files) - SHOWN_FILES} more" if len(files) > SHOWN_FILES else ""
        tell(f"CHANGED   since {what}: {' '.join(files[:SHOWN_FILES]) or 'nothing'}{more}")
        return files

    def finished(self) -> dict[str, FinishedStep]:
        """The steps that passed before on the same state."""
        steps = self._finished.read() if self._finished else {}
        if not steps:
            tell("ANEW      no step has passed on this state of the sources, so all run")
        return steps

    def note_step(self, took: StepTime, results: list[Result]) -> None:
        """Keeps the step for --resume if it passed."""
        with self._noting:
            if not self._finished:
                return
            if any(result.state == "failed" for result in results):
                self._finished.remove(took.name)
            elif self._is_unchanged():
                self._finished.add(FinishedStep(dataclasses.replace(took, taken_over=time.strftime("%F %T")), results))
            else:
                tell("the sources have changed since this run began; --resume will not take over the steps from here on")
                self._finished = None

    def _is_unchanged(self) -> bool:
        try:
            return self._snapshots.now() == self._tree
        except LabError:
            return False

    def note_passed(self) -> None:
        if self._tree and not self._options.only:
            self._snapshots.record_passed(self._tree)
