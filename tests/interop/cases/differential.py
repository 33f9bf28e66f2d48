# SPDX-License-Identifier: BSD-3-Clause
"""Tests without a guest on the newer QEMU: the differential tests, which compare the in-process card with QEMU's, and the virtio-net
driver's on QEMU's device."""

import dataclasses
import os
import pathlib
import subprocess
import time

from pollux_lab.built import programs_in
from pollux_lab.cases import without_run
from pollux_lab.errors import LabError
from pollux_lab.junit import Result

from .columns import BUILD, OUTCOMES, Row, newer_qemu


@dataclasses.dataclass(frozen=True)
class Suite:
    """Tests of a program that starts the first QEMU in PATH."""
    row: str
    program: str
    tests: str
    long: str

    @property
    def name(self) -> str:
        return f"interop.{self.row}.qemu11"


# QEMU 10's card is compared with the in-process card by the unit tests of tests/differential.
ROW = Row("differential", "Without a driver: the same accesses and frames have the same results, but for declared differences.",
          {"model": "the other cards are compared with it"})
SUITES = [Suite(ROW.name, "differential_test", "*", "the differential tests on the newer QEMU"),
          Suite("virtio.driver", "qemu_test", "Virtio*", "the virtio-net driver on the newer QEMU")]
SECONDS = 300


def results(suites: list[Suite], full: bool) -> list[Result]:
    return [_result(suite) if full else without_run(suite.name, suite.long) for suite in suites]


def _result(suite: Suite) -> Result:
    start = time.monotonic()
    try:
        failure = _failure(suite)
    except (LabError, subprocess.TimeoutExpired) as error:
        failure = str(error)
    OUTCOMES[suite.row] = {"qemu11": {"outcome": "failed" if failure else "passed", "facts": {}, "error": failure}}
    return Result(suite.name, "failed" if failure else "passed", time.monotonic() - start, failure)


def _failure(suite: Suite) -> str:
    found = programs_in(BUILD[0], suite.program)
    if not found:
        raise LabError(f"no program '{suite.program}' was built in {BUILD[0]}", f"build first: cmake --build {BUILD[0]}")
    path = f"{pathlib.Path(newer_qemu()).parent}:{os.environ['PATH']}"
    command = [found[0], "--gtest_brief=1", f"--gtest_filter={suite.tests}"]
    done = subprocess.run(command, env={**os.environ, "PATH": path}, stdin=subprocess.DEVNULL, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=SECONDS)
    return done.stdout[-4000:] if done.returncode else ""
