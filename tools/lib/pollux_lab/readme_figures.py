# SPDX-License-Identifier: BSD-3-Clause
"""The figures of the README, and of the first sentence of docs/performance.md: how long the igb drivers of Pollux and DPDK take for a
frame, on one queue and on 16, from the tables that tools/bench writes into that page."""

import pathlib
import re

README, PAGE = pathlib.Path("README.md"), pathlib.Path("docs/performance.md")
_GIGAHERTZ = re.compile(r"time stamp counter ([\d.]+) GHz")
_ONE_QUEUE = re.compile(r"^\| forward \| 32 \| warm \| ([\d.]+) [^|]*\|[^|]*\| ([\d.]+) ", re.MULTILINE)
_MANY_QUEUES = re.compile(r"^\| one thread \| 512 \| 16 \| ([\d.]+) [^|]*\|[^|]*\| ([\d.]+) ", re.MULTILINE)
_SENTENCE = re.compile(r"\*\*([\d.]+) ns, where DPDK's takes ([\d.]+)\*\*(.*?)16 queues of 512, ([\d.]+) and ([\d.]+)", re.DOTALL)


def measured(page: str) -> tuple[str, ...] | None:
    """Nanoseconds of Pollux and DPDK on one queue, and of both on 16 queues."""
    ticks, rows = _GIGAHERTZ.search(page), (_ONE_QUEUE.search(page), _MANY_QUEUES.search(page))
    if ticks is None or None in rows:
        return None
    return tuple(f"{float(value) / float(ticks[1]):.1f}" for row in rows for value in row.groups())


def said(text: str) -> tuple[str, ...] | None:
    sentence = _SENTENCE.search(text)
    return sentence.group(1, 2, 4, 5) if sentence else None


def update(page: pathlib.Path) -> list[pathlib.Path]:
    """Writes what the page's tables have into its own sentence and that of the project's README, and returns the files that differed."""
    project = page.resolve().parent.parent
    figures, written = measured(page.read_text()), []
    if figures is None or page.resolve() != project / PAGE:
        return []
    for file in (page.resolve(), project / README):
        if file.exists() and said(file.read_text()) not in (None, figures):
            one, other, many, others_many = figures
            sentence = rf"**{one} ns, where DPDK's takes {other}**\g<3>16 queues of 512, {many} and {others_many}"
            file.write_text(_SENTENCE.sub(sentence, file.read_text()))
            written.append(file)
    return written
