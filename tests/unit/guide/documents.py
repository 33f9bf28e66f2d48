# SPDX-License-Identifier: BSD-3-Clause
"""Finds the C++ code in the project's documents."""

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[3]
README = ROOT / "README.md"
DPDK = ROOT / "docs/guide/coming-from-dpdk.md"
AT_NAMESPACE, RUNS = "<!-- at namespace scope -->", "<!-- runs -->"


@dataclasses.dataclass(frozen=True)
class Block:
    """The lines between ```cpp and ```. `line` is the number of the first line."""

    document: pathlib.Path
    line: int
    text: str
    at_namespace: bool  # the line before the block says so
    runs: bool  # likewise

    @property
    def line_directive(self) -> str:
        return f'#line {self.line} "{self.document.relative_to(ROOT)}"'


def documents() -> list[pathlib.Path]:
    return [README, *sorted((ROOT / "docs/guide").glob("*.md"))]


def blocks(document: pathlib.Path) -> list[Block]:
    found, lines, start = [], document.read_text().splitlines(keepends=True), None
    for number, line in enumerate(lines):
        if start is None and line.startswith("```cpp"):
            start = number + 1
        elif start is not None and line.startswith("```"):
            before = lines[start - 2].strip() if start >= 2 else ""
            found.append(Block(document, start + 1, "".join(lines[start:number]), before == AT_NAMESPACE, before == RUNS))
            start = None
    return found


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table of DPDK calls: their names, and the equivalent Pollux code."""

    line: int
    theirs: list[str]
    ours: list[str]


def dpdk_rows() -> list[Row]:
    rows = []
    for number, line in enumerate(DPDK.read_text().splitlines(), start=1):
        if not line.startswith("| `rte_"):
            continue
        theirs, ours, *_ = [cell.strip() for cell in line.strip("|").split(" | ")]
        rows.append(Row(number, re.findall(r"`([^`]+)`", theirs), re.findall(r"`([^`]+)`", ours)))
    return rows
