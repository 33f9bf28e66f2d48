# SPDX-License-Identifier: BSD-3-Clause
"""docs/concepts.md: checks that each row names an existing file and a test that passed, or says that the concept is not there."""

import dataclasses
import pathlib
import re

from . import claims
from .claims import Run

PAGE = pathlib.Path("docs/concepts.md")
ROWS = 38
ABSENT = ("not there yet", "out of scope")
_ROW = re.compile(r"^\| *(\d+) *\|(.*)\|\s*$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Row:
    number: int
    concept: str
    kernel: str
    where: str
    shown_by: str


def rows(text: str) -> list[Row]:
    return [Row(int(number), *(cell.strip() for cell in cells.split("|"))) for number, cells in _ROW.findall(text)]


def mistakes(root: pathlib.Path) -> list[str]:
    """Mistakes of the page that do not depend on test results."""
    found = []
    table = rows((root / PAGE).read_text())
    if [row.number for row in table] != list(range(1, ROWS + 1)):
        found.append(f"the rows are not numbered from 1 to {ROWS}")
    for row in table:
        if row.where.startswith(ABSENT):
            if row.shown_by:
                found.append(f"row {row.number} is {row.where.split(':')[0]} and names tests")
        elif not row.shown_by:
            found.append(f"row {row.number} names no test and does not say that it is not there yet")
        elif not any(claims.is_path(name) for name in claims.quoted(row.where)):
            found.append(f"row {row.number} names no file")
    return found


def check(root: pathlib.Path, run: Run) -> list[tuple[str, claims.ClaimResult]]:
    """The result of each row that names tests. A path among the tests (a benchmark, a folder) only has to exist."""
    checked = []
    for row in rows((root / PAGE).read_text()):
        tests = [name for name in claims.quoted(row.shown_by) if not claims.is_path(name)]
        if tests:
            checked.append((f"row {row.number}, {row.concept}", run.check(tests)))
    return checked
