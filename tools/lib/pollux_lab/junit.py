# SPDX-License-Identifier: BSD-3-Clause
"""Results in the file format that ctest writes, too, and their sum."""

import dataclasses
import pathlib
import xml.etree.ElementTree as ElementTree


@dataclasses.dataclass(frozen=True)
class Result:
    name: str
    state: str  # passed, failed or skipped
    seconds: float = 0.0
    detail: str = ""


def write(path: pathlib.Path, suite: str, results: list[Result]) -> None:
    root = ElementTree.Element("testsuite", name=suite, tests=str(len(results)))
    for result in results:
        entry = ElementTree.SubElement(root, "testcase", name=result.name, classname=suite, time=f"{result.seconds:.3f}",
                                       status={"passed": "run", "failed": "fail", "skipped": "notrun"}[result.state])
        if result.state != "passed":
            ElementTree.SubElement(entry, "failure" if result.state == "failed" else "skipped").text = _xml(result.detail)
    ElementTree.ElementTree(root).write(path, encoding="unicode")


def read(path: pathlib.Path) -> list[Result]:
    results = []
    for entry in ElementTree.parse(path).getroot().iter("testcase"):
        skipped, failed = entry.find("skipped"), entry.find("failure")
        # ctest marks a test that it could not start as "fail" or "notrun", with no failure beside it at times.
        status = entry.get("status", "run")
        state = "failed" if failed is not None or status == "fail" else "skipped" if skipped is not None else "passed"
        output = entry.findtext("system-out") or ""
        results.append(Result(entry.get("name", "?"), state, float(entry.get("time") or 0), output))
    return results


def _xml(text: str) -> str:
    return "".join(c for c in text if c in "\t\n" or ord(c) >= 32)
