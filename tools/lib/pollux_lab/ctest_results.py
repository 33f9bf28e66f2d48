# SPDX-License-Identifier: BSD-3-Clause
"""The results of ctest, case by case: a test program with many cases writes a file of them."""

import dataclasses
import json
import os
import pathlib
import re
import subprocess

from . import junit
from .junit import Result

RESULTS = "GTEST_OUTPUT=xml:"  # in the environment of a test that writes its cases; the project's Python tests support it, too
# A skipped case in the output of a test that does not write its cases.
_UNTOLD = re.compile(r"^\[  SKIPPED \]|^(OK|FAILED) \(.*skipped=\d+", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Known:
    """A test of ctest: its name, its labels, the file to which it writes its cases, if it does, the folder below the project's root in
    which it is registered, and its command, which is empty if the program does not exist yet."""
    name: str
    labels: list[str]
    cases: pathlib.Path | None
    folder: str = ""
    command: tuple[str, ...] = ()


def known_tests(folder: pathlib.Path, *words: str) -> list[Known]:
    shown = subprocess.run(["ctest", "--test-dir", str(folder), "--show-only=json-v1", *words], capture_output=True, text=True,
                           timeout=60)
    tests = []
    for test in json.loads(shown.stdout or "{}").get("tests", []):
        properties = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
        written = [line.removeprefix(RESULTS) for line in properties.get("ENVIRONMENT", []) if line.startswith(RESULTS)]
        tests.append(Known(test["name"], properties.get("LABELS", []), pathlib.Path(written[0]) if written else None,
                           os.path.relpath(properties.get("WORKING_DIRECTORY", folder), folder), tuple(test.get("command", []))))
    return tests


def forget(known: list[Known]) -> None:
    """Removes the files of an earlier run."""
    for test in known:
        if test.cases:
            test.cases.unlink(missing_ok=True)


def read(report: pathlib.Path, known: list[Known], suite: str) -> list[Result]:
    cases = {test.name: test.cases for test in known}
    results = []
    for entry, output in _entries(report, suite):
        results += _with_cases(entry, cases[entry.name]) if cases.get(entry.name) else [_without_cases(entry, output)]
    return results


def _entries(report: pathlib.Path, suite: str) -> list[tuple[Result, str]]:
    return list(zip(junit.read(report, suite), junit.outputs(report)))


def _with_cases(entry: Result, written: pathlib.Path) -> list[Result]:
    cases = junit.read_cases(written, entry.suite) if written.exists() else []
    if entry.state == "passed" and not cases:
        return [dataclasses.replace(entry, state="failed", detail=f"it succeeded but ran no case: {written} has none")]
    if entry.state == "passed" or any(case.state == "failed" for case in cases):
        return cases
    # It crashed, or failed at its end because of a leak, for example.
    return [*cases, entry]


def _without_cases(entry: Result, output: str) -> Result:
    if entry.state == "passed" and _UNTOLD.search(output):
        return dataclasses.replace(entry, state="failed", detail="cases were skipped, but the test does not write its cases: "
                                   "register it with pollux_python_test or pollux_cases")
    return entry
