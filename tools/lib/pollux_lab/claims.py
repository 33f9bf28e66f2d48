# SPDX-License-Identifier: BSD-3-Clause
"""Compares the claims of the docs with the tests of a run. A claim names the tests that show it, by patterns."""

import dataclasses
import fnmatch
import json
import pathlib
import re

from .errors import LabError
from .junit import Result
from .steps import PLAIN

SHOWN, LEFT_OUT, STALE = "shown", "left out", "stale"
# Folders of the project with which a path in the docs may start.
FOLDERS = "bench|cmake|docs|examples|include|lib|tests|tools"
_PATH = re.compile(rf"^(?:{FOLDERS})/[\w.*/-]*[\w*/]$")
_LINUX = ("include/uapi/", "tools/testing/")  # folders of Linux, which the docs cite
_QUOTED = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
# A promise is an item of a list, or a paragraph, and ends with the tests that show it.
_PARAGRAPH = re.compile(r"\n\n|\n(?=- )")
_SHOWN_BY = "Shown by:"
_TAG = re.compile(r"\b(?:I|E)-[A-Z][A-Z0-9-]+\b")
_TAG_ROW = re.compile(r"^\| ((?:I|E)-[A-Z0-9-]+) \|", re.MULTILINE)
_PARAMETER = re.compile(r"  # GetParam\(\) = .*$", re.DOTALL)  # ctest adds this to the name of a test with a parameter


@dataclasses.dataclass(frozen=True)
class ClaimResult:
    state: str
    reason: str = ""


class Run:
    """The results of a run, by their names in results.json."""

    def __init__(self, results: list[Result], judges_all: bool = True):
        self.judges_all = judges_all  # whether all tests that claims name belong to this run
        self._results: dict[str, list[Result]] = {}
        for result in results:
            self._results.setdefault(_PARAMETER.sub("", result.name), []).append(result)

    def check(self, patterns: list[str]) -> ClaimResult:
        """Shown only if each pattern has a test that passed and none that failed."""
        results = [self._claim_by_pattern(pattern) for pattern in patterns]
        for state in (STALE, LEFT_OUT):
            reasons = [result.reason for result in results if result.state == state]
            if reasons:
                return ClaimResult(state, "; ".join(reasons))
        return ClaimResult(SHOWN) if patterns else ClaimResult(STALE, "it names no test")

    def _claim_by_pattern(self, pattern: str) -> ClaimResult:
        found = [result for name in sorted(self._results) if fnmatch.fnmatchcase(name, pattern) for result in self._results[name]]
        if not found:
            return ClaimResult(STALE if self.judges_all else LEFT_OUT, f"no test called {pattern} ran")
        for result in found:
            if result.state == "failed":
                return ClaimResult(STALE, f"{result.name} failed{f' ({result.suite})' if result.suite else ''}")
        if any(result.state == "passed" for result in found):
            return ClaimResult(SHOWN)
        return ClaimResult(LEFT_OUT, f"{pattern} was left out: {' '.join(found[0].detail.split())}")


def read_run(path: pathlib.Path) -> Run:
    """Reads a results.json; raises LabError."""
    if not path.exists():
        raise LabError(f"there is no {path}", "tools/test writes it")
    read = json.loads(path.read_text())
    if not read.get("whole") or read.get("depth", PLAIN) == PLAIN:
        raise LabError(f"{path} has the results of some steps only", "run tools/test --ci, without --only")
    return Run([Result(entry["name"], entry["state"], suite=entry["suite"], detail=entry["reason"]) for entry in read["results"]])


def quoted(text: str) -> list[str]:
    """The parts of a text between backquotes."""
    return _QUOTED.findall(text)


def promises(text: str) -> list[tuple[str, list[str]]]:
    """The promises of a page, each by its first words, and the tests that it names behind "Shown by:"."""
    found = []
    for paragraph in _PARAGRAPH.split(text):
        promise, _, shown = paragraph.partition(_SHOWN_BY)
        if shown or promise.startswith("- Promised:"):
            found.append((" ".join(promise.removeprefix("- Promised:").split()[:8]), quoted(shown)))
    return found


def is_path(name: str) -> bool:
    return bool(_PATH.match(name)) and not name.startswith(_LINUX)


def is_there(root: pathlib.Path, path: str) -> bool:
    """Whether this file or folder exists, or the source of a program of this name. A star matches any name."""
    return any(True for name in (path.rstrip("/"), f"{path}.cpp") for _ in root.glob(name))


def missing_tags(root: pathlib.Path) -> list[str]:
    """Tags of open interpretations and errata in the code for which no card's documents have a row."""
    known = {tag for page in (root / "docs").glob("*/*.md") for tag in _TAG_ROW.findall(page.read_text())}
    sources = sorted(source for kind in ("*.hpp", "*.cpp") for source in (root / "lib").rglob(kind))
    return [f"{source.relative_to(root)} depends on {tag}, for which docs has no row"
            for source in sources for tag in dict.fromkeys(_TAG.findall(source.read_text())) if tag not in known]


def _documents(root: pathlib.Path) -> list[pathlib.Path]:
    return sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md"), *(root / "tests").rglob("*.md")])


def broken_links(root: pathlib.Path) -> list[str]:
    """Links of the project's documents to files or headings that do not exist."""
    mistakes = []
    for document in _documents(root):
        for path, heading in dict.fromkeys(_LINK.findall(_CODE.sub("", document.read_text()))):
            target = document.parent / path if path else document
            if not target.exists() or (heading and heading not in _headings(target)):
                mistakes.append(f"{document.relative_to(root)} links to {path}{f'#{heading}' if heading else ''}, which does not exist")
    return mistakes


def _headings(document: pathlib.Path) -> list[str]:
    """The names that links use for headings."""
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in _HEADING.findall(document.read_text())]


def missing_paths(root: pathlib.Path) -> list[str]:
    """Files and folders that the project's documents name but that do not exist."""
    mistakes = []
    for document in _documents(root):
        for name in dict.fromkeys(quoted(document.read_text())):
            for path in name.split():
                if is_path(path) and not is_there(root, path):
                    mistakes.append(f"{document.relative_to(root)} names {path}, which does not exist")
    return mistakes
