# SPDX-License-Identifier: BSD-3-Clause
"""Measures the libraries without a card on this machine's processor. The two programs run alternately on one core."""

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
# Each side's pool has 18 MiB, and DPDK needs more for itself.
HUGE_PAGES = 48
TOTAL = pathlib.Path("/proc/sys/vm/nr_hugepages")


def measure(session: Session, figures: Figures) -> None:
    programs = {"pollux": session.programs("native_pollux")[0], "dpdk": session.programs("native_dpdk")[0]}
    processor = max(os.sched_getaffinity(0))
    with huge_pages() as there:
        environment = dict(os.environ, **({} if there else {"BASELINES_NO_HUGE_PAGES": "1"}))
        if not there:
            tell(f"[native] runs without huge pages, which makes both sides slower; "
                 f"as root, 'echo {HUGE_PAGES} > {TOTAL}' reserves some")
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
        raise LabError(f"{program.name} ended with status {done.returncode}", "see its output", done.stderr[-2000:])
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextlib.contextmanager
def huge_pages() -> Iterator[bool]:
    """Reserves missing huge pages, if permitted, and releases them at the end. Yields whether there are enough."""
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
        # Does not release them if another process has reserved more meanwhile.
        if int(TOTAL.read_text()) <= total + missing:
            TOTAL.write_text(str(total))


def free_huge_pages() -> int:
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("HugePages_Free:"):
            return int(line.split()[1])
    return 0
