# SPDX-License-Identifier: BSD-3-Clause
"""The results of a run as JSON, and the table of docs/82576/interop.md."""

import json
import pathlib

from . import differential
from .columns import COLUMNS, OUTCOMES, ROWS, difference

FORMAT = 1
MARK = "<!-- table: tests/interop/run --write-table -->\n"
END = "<!-- end of the table -->\n"


def write_results(path: pathlib.Path, kernel: str) -> None:
    """By case and column: outcome (passed, failed, or differs as declared), what was found out, and the error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"format": FORMAT, "kernel": kernel, "cases": OUTCOMES}, indent=1) + "\n")


def replace_in(page: pathlib.Path) -> None:
    text = page.read_text()
    page.write_text(text[:text.index(MARK)] + MARK + markdown() + text[text.index(END):])


def markdown() -> str:
    """What the cases require of each card. It is made from the declarations alone; the run fails where they are wrong."""
    notes: list[str] = []
    lines = ["| case | " + " | ".join(column.title for column in COLUMNS) + " |", "|---|" + "---|" * len(COLUMNS)]
    for row in [*ROWS, differential.ROW]:
        cells = [_cell(row, column.key, column.title, notes) for column in COLUMNS]
        lines.append(f"| {row.title.rstrip('.')}: `{row.name}` | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *notes]) + "\n"


def _cell(row, key: str, title: str, notes: list[str]) -> str:
    declared = difference(row.name, key)
    if not declared and key not in row.absent:
        return "yes"
    notes.append(f"{len(notes) + 1}. {title}, `{row.name}`: {declared.reason if declared else row.absent[key]}")
    return f"{'no' if declared else 'not run'} ({len(notes)})"
