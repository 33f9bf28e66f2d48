# SPDX-License-Identifier: BSD-3-Clause
"""The differential tests, which compare the in-process card with QEMU's, on the newer QEMU. They need no guest."""

import os
import pathlib
import subprocess
import time

from pollux_lab.errors import LabError
from pollux_lab.junit import Result

from .columns import BUILD, OUTCOMES, Row, newer_qemu

NAME = "interop.differential.qemu11"
# QEMU 10's card is compared with the in-process card by the unit tests of tests/differential.
ROW = Row("differential", "Without a driver: the same accesses and frames have the same results, but for declared differences.",
          {"model": "the other cards are compared with it"})
LONG = "the differential tests on the newer QEMU"
SECONDS = 300


def results(full: bool) -> list[Result]:
    if not full:
        return [Result(NAME, "skipped", 0, LONG)]
    start = time.monotonic()
    try:
        failure = _failure()
    except (LabError, subprocess.TimeoutExpired) as error:
        failure = str(error)
    OUTCOMES[ROW.name] = {"qemu11": {"outcome": "failed" if failure else "passed", "facts": {}, "error": failure}}
    return [Result(NAME, "failed" if failure else "passed", time.monotonic() - start, failure)]


def _failure() -> str:
    found = sorted(BUILD[0].rglob("differential_test"))
    if not found:
        raise LabError(f"no program 'differential_test' was built in {BUILD[0]}", f"build first: cmake --build {BUILD[0]}")
    # The tests start the first QEMU in PATH.
    path = f"{pathlib.Path(newer_qemu()).parent}:{os.environ['PATH']}"
    done = subprocess.run([found[0], "--gtest_brief=1"], env={**os.environ, "PATH": path}, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)
    return done.stdout[-4000:] if done.returncode else ""
