# SPDX-License-Identifier: BSD-3-Clause
"""docs/concepts.md: checks that each row names an existing file and has a test that passed, or says that the concept is not there."""

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


def rows(text: str) -> list[Row]:
    return [Row(int(number), *(cell.strip() for cell in cells.split("|"))) for number, cells in _ROW.findall(text)]


def tests(facts: dict) -> dict[int, list[str]]:
    """The tests that docs/features.toml names for each row. A path among them (a benchmark, a folder) only has to exist."""
    return {int(number): names for number, names in facts.get("concepts", {}).items()}


def mistakes(table: list[Row], shown: dict[int, list[str]]) -> list[str]:
    """Mistakes of the page that do not depend on test results."""
    found = []
    if [row.number for row in table] != list(range(1, ROWS + 1)):
        found.append(f"the rows are not numbered from 1 to {ROWS}")
    for row in table:
        if row.where.startswith(ABSENT):
            if row.number in shown:
                found.append(f"row {row.number} is {row.where.split(':')[0]} and has tests")
        elif row.number not in shown:
            found.append(f"row {row.number} has no test and does not say that it is not there yet")
        elif not any(claims.is_path(name) for name in claims.quoted(row.where)):
            found.append(f"row {row.number} names no file")
    return found


def check(table: list[Row], shown: dict[int, list[str]], run: Run) -> list[tuple[str, claims.ClaimResult]]:
    """The result of each row that has tests."""
    checked = []
    for row in table:
        names = [name for name in shown.get(row.number, []) if not claims.is_path(name)]
        if names:
            checked.append((f"row {row.number}, {row.concept}", run.check(names)))
    return checked
