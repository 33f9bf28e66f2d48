# SPDX-License-Identifier: BSD-3-Clause
"""The steps of tools/test --full that have passed, in a file, so that a later run with --resume does not repeat them."""

import dataclasses
import json
import pathlib

from .junit import Result
from .summary import StepTime


@dataclasses.dataclass(frozen=True)
class FinishedStep:
    time: StepTime  # with the moment of its end as taken_over
    results: list[Result]


class FinishedSteps:
    """Of one state of the sources."""

    def __init__(self, file: pathlib.Path, tree: str):
        self._file, self._tree = file, tree
        self._steps: dict[str, FinishedStep] = {}

    def read(self) -> dict[str, FinishedStep]:
        """The steps that passed on this state; none if the file is about another state, or there is none. After a crash of the machine
        it may be empty."""
        try:
            read = json.loads(self._file.read_text())
        except (FileNotFoundError, ValueError):
            read = {}
        if read.get("tree") == self._tree:
            for step in read["steps"]:
                self._steps[step["time"]["name"]] = FinishedStep(StepTime(**step["time"]),
                                                                 [Result(**result) for result in step["results"]])
        return dict(self._steps)

    def add(self, step: FinishedStep) -> None:
        self._steps[step.time.name] = step
        self.write()

    def remove(self, name: str) -> None:
        if self._steps.pop(name, None):
            self.write()

    def write(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps({"tree": self._tree, "steps": [dataclasses.asdict(step) for step in self._steps.values()]}))
        new.replace(self._file)
