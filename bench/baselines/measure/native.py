# SPDX-License-Identifier: BSD-3-Clause
"""The libraries without a card, on this machine's own processor: both programs in turns, on one core."""

import contextlib
import json
import os
import pathlib
import subprocess
from collections.abc import Iterator

from pollux_lab.errors import LabError

from .figures import Figures
from .session import Session
from .tell import tell

SECONDS = 120
# Each side's pool is 18 MiB; DPDK wants some for itself.
HUGE_PAGES = 48
TOTAL = pathlib.Path("/proc/sys/vm/nr_hugepages")


def measure(session: Session, figures: Figures) -> None:
    programs = {"pollux": session.programs("native_pollux")[0], "dpdk": session.programs("native_dpdk")[0]}
    processor = max(os.sched_getaffinity(0))
    with huge_pages() as there:
        environment = dict(os.environ, **({} if there else {"BASELINES_NO_HUGE_PAGES": "1"}))
        if not there:
            tell(f"[native] without huge pages, which costs both sides: 'echo {HUGE_PAGES} > {TOTAL}' as root gives some")
        repetitions = 3 if session.quick else 7
        for repetition in range(repetitions):
            tell(f"[native] repetition {repetition + 1} of {repetitions}")
            for who, program in programs.items():
                for line in run(program, processor, environment):
                    figures.add({"where": "native-warm", "who": who, **line})


def run(program: pathlib.Path, processor: int, environment: dict[str, str]) -> list[dict]:
    done = subprocess.run([str(program), str(processor)], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=SECONDS, env=environment)
    if done.returncode != 0:
        raise LabError(f"{program.name} ended with status {done.returncode}", "read what it said", done.stderr[-2000:])
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextlib.contextmanager
def huge_pages() -> Iterator[bool]:
    """Whether there are enough; asks for more, and gives them back, where that is allowed."""
    total, missing = int(TOTAL.read_text()), HUGE_PAGES - free_huge_pages()
    if missing <= 0:
        yield True
        return
    try:
        TOTAL.write_text(str(total + missing))
    except PermissionError:
        yield False
        return
    try:
        yield free_huge_pages() >= HUGE_PAGES
    finally:
        # Unless somebody else asked for some meanwhile.
        if int(TOTAL.read_text()) <= total + missing:
            TOTAL.write_text(str(total))


def free_huge_pages() -> int:
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("HugePages_Free:"):
            return int(line.split()[1])
    return 0
