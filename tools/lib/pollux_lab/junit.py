# SPDX-License-Identifier: BSD-3-Clause
"""Test results in JUnit's format, as ctest, GoogleTest and the project's own runners write them."""

import dataclasses
import pathlib
import re
import xml.etree.ElementTree as ElementTree

# What ctest writes about a test that skipped itself. Any other test with the status "notrun" could not be started.
_LEFT_OUT = re.compile(r"^(SKIP_RETURN_CODE|SKIP_REGULAR_EXPRESSION_MATCHED)")
_PLACE = re.compile(r"^\S+:\d+(: Skipped)?$")  # the source line of a GTEST_SKIP, printed before the reason
NO_REASON = "no reason given"


@dataclasses.dataclass(frozen=True)
class Result:
    """One test case, or one step of a run. `detail` says why it was skipped, or what failed."""
    name: str
    state: str  # passed, failed or skipped
    seconds: float = 0.0
    detail: str = ""
    suite: str = ""  # what ran it, such as unit.release


def write(path: pathlib.Path, suite: str, results: list[Result]) -> None:
    _write(path, [(suite, result.name, result) for result in results])


def write_cases(path: pathlib.Path, results: list[Result]) -> None:
    """Writes a file for read_cases; each name is CLASS.CASE."""
    _write(path, [(*result.name.rpartition(".")[::2], result) for result in results])


def _write(path: pathlib.Path, named: list[tuple[str, str, Result]]) -> None:
    root = ElementTree.Element("testsuite", name=path.stem, tests=str(len(named)))
    for group, name, result in named:
        entry = ElementTree.SubElement(root, "testcase", name=_xml(name), classname=_xml(group), time=f"{result.seconds:.3f}",
                                       result={"passed": "completed", "failed": "failed", "skipped": "skipped"}[result.state])
        if result.state == "failed":
            ElementTree.SubElement(entry, "failure").text = _xml(result.detail)
        elif result.state == "skipped":
            ElementTree.SubElement(entry, "skipped", message=_xml(result.detail))
    ElementTree.ElementTree(root).write(path, encoding="unicode")


def read(path: pathlib.Path, suite: str = "") -> list[Result]:
    """Reads the file of ctest or of a runner of the project. The names are those of the file."""
    return [Result(entry.get("name", "?"), _state(entry), float(entry.get("time") or 0), _detail(entry), suite)
            for entry in _entries(path)]


def read_if_written(path: pathlib.Path, suite: str) -> list[Result]:
    """Reads the file of a runner, which may have died before it wrote it."""
    return read(path, suite) if path.exists() else []


def read_cases(path: pathlib.Path, suite: str = "") -> list[Result]:
    """Reads the cases of one GoogleTest or unittest program: PROGRAM.CLASS.CASE, where the file is PROGRAM.xml."""
    return [Result(f"{path.stem}.{entry.get('classname')}.{entry.get('name')}", _state(entry), float(entry.get("time") or 0),
                   _detail(entry), suite)
            for entry in _entries(path)]


def _entries(path: pathlib.Path) -> list[ElementTree.Element]:
    """The entries of a file. A file that was not written to its end is one entry, which has failed."""
    try:
        return list(ElementTree.parse(path).getroot().iter("testcase"))
    except ElementTree.ParseError as error:
        cut = ElementTree.Element("testcase", name="results", classname=path.stem)
        ElementTree.SubElement(cut, "failure").text = f"{path} cannot be read, perhaps since its writer was ended: {error}"
        return [cut]


def outputs(path: pathlib.Path) -> list[str]:
    """The output of each test, in the same order as the results of `read`."""
    return [entry.findtext("system-out") or "" for entry in _entries(path)]


def _state(entry: ElementTree.Element) -> str:
    skipped = entry.find("skipped")
    if entry.find("failure") is not None or entry.find("error") is not None or entry.get("status") == "fail":
        return "failed"
    if _disabled(entry):
        return "skipped"
    if entry.get("result") is None and entry.get("status") == "notrun":  # ctest also writes this for a test that it could not start
        return "skipped" if skipped is not None and _LEFT_OUT.match(skipped.get("message", "")) else "failed"
    return "skipped" if skipped is not None or entry.get("result") == "skipped" else "passed"


def _disabled(entry: ElementTree.Element) -> bool:
    """Whether ctest or GoogleTest marks the test as disabled."""
    return entry.get("status") == "disabled" or entry.get("result") == "suppressed"


def _detail(entry: ElementTree.Element) -> str:
    """Why a test did not pass: the reason of a skip in one line, the message of a failure, or the end of the output."""
    skipped = entry.find("skipped")
    output = entry.findtext("system-out") or ""
    state = _state(entry)
    if state == "passed":
        return ""
    if state == "skipped":
        if _disabled(entry):
            return "disabled in its declaration"
        if entry.get("result") is None:
            return skip_reason(output) or NO_REASON
        message = "" if skipped is None else skipped.get("message") or skipped.text or ""
        return " ".join(line.strip() for line in message.splitlines() if line.strip() and not _PLACE.match(line)) or NO_REASON
    failures = [failure.text or failure.get("message") or "" for kind in ("failure", "error") for failure in entry.iter(kind)]
    words = "\n".join(text.strip() for text in failures if text.strip())
    return words or output or (skipped.get("message", "") if skipped is not None else "no output; it crashed or exceeded its time limit")


def skip_reason(output: str) -> str:
    """The reason that a skipped program printed: the message of a GTEST_SKIP, or a line that begins with LEFT OUT or SKIPPED."""
    lines = output.splitlines()
    for place, line in enumerate(lines):
        if line.startswith(("LEFT OUT", "SKIPPED")):
            return line.partition(":")[2].strip() or line
        if _PLACE.match(line) and line.endswith("Skipped"):
            words = []
            for word in lines[place + 1:]:
                if not word.strip() or word.startswith("[ "):
                    break
                words.append(word.strip())
            return " ".join(words)
    return ""


def _xml(text: str) -> str:
    """The text without characters that XML forbids."""
    return "".join(c for c in text if c in "\t\n" or " " <= c < "\ud800" or "\ue000" <= c < "\ufffe" or c > "\uffff")
