# SPDX-License-Identifier: BSD-3-Clause
"""The one figure of the README: by how much DPDK's igb driver is slower, which docs/performance.md has from tools/bench."""

import pathlib
import re

README, PAGE = pathlib.Path("README.md"), pathlib.Path("docs/performance.md")
_ROW = re.compile(r"^\| forward \| 32 \| warm \|.*?\*\*([\d.]+)\*\*", re.MULTILINE)
_SENTENCE = re.compile(r"(\*\*)([\d.]+)( times\*\*\s+as\s+long,\s+in\s+bursts\s+of\s+32)")


def measured(page: str) -> str | None:
    row = _ROW.search(page)
    return row[1] if row else None


def said(readme: str) -> str | None:
    sentence = _SENTENCE.search(readme)
    return sentence[2] if sentence else None


def update(page: pathlib.Path) -> pathlib.Path | None:
    """Writes the page's factor into the README of its project, and returns that file if there was anything to write."""
    readme = page.resolve().parent.parent / README
    factor = measured(page.read_text())
    if factor is None or page.resolve() != readme.parent / PAGE or not readme.exists() or said(readme.read_text()) in (None, factor):
        return None
    readme.write_text(_SENTENCE.sub(rf"\g<1>{factor}\g<3>", readme.read_text()))
    return readme
