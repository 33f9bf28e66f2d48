# SPDX-License-Identifier: BSD-3-Clause
"""Instructions a frame over VFIO in the guest, counted exactly: QEMU's -icount makes the time stamp counter that count."""

import dataclasses

from .figures import Figures
from .guests import bind, guest, lines_of
from .session import Session
from .tell import tell

CASES = ("lockstep", "parts", "forward", "txonly", "empty_poll")
PARTS = ("alloc", "fill", "tx", "rx", "free")
BURSTS = (32, 1)
LINKS = ("static", "shared")
# A multiple of both bursts; at a hundred thousand, totals repeat to some parts in a million.
FRAMES = 102_400
SECONDS = 300


@dataclasses.dataclass(frozen=True)
class Variant:
    """One of the applications, and how it is run. The guest's processor has AVX2, and no more."""
    who: str
    link: str
    path: str
    words: str
    bursts: tuple[int, ...] = BURSTS


def variants(quick: bool) -> list[Variant]:
    """In turns: ours and theirs after each other, linked the same way."""
    cases = " ".join(f"--case {case}" for case in CASES)
    chosen = [
        Variant("pollux", "static", "simd", f"--path avx2 {cases}"),
        Variant("dpdk", "static", "scalar", cases),
        Variant("pollux", "static", "simd", "--path avx2 --case fused", tuple(sorted(BURSTS))),
        Variant("pollux", "shared", "simd", f"--path avx2 {cases}"),
        Variant("dpdk", "shared", "scalar", cases),
        Variant("pollux", "static", "scalar", f"--path scalar {cases}"),
    ]
    return chosen[:3] if quick else chosen


def measure(session: Session, figures: Figures) -> None:
    programs = session.programs("pollux", *(f"{side}_app_{link}" for side in ("pollux", "dpdk") for link in LINKS))
    with guest(session.kernel, programs + session.shared_libraries(), icount=True) as running:
        ports = bind(running)
        for repetition in range(1 if session.quick else 2):
            for variant in variants(session.quick):
                tell(f"[counts] {variant.who}, {variant.link}, {variant.path}, repetition {repetition + 1}")
                bursts = " ".join(f"--burst {burst}" for burst in variant.bursts)
                command = f"{variant.who}_app_{variant.link} {bursts} {variant.words} --frames {FRAMES} {ports}"
                for line in lines_of(running, command, SECONDS):
                    for case, instructions in _cases_in(line):
                        figures.add({"where": "guest", "case": case, "who": variant.who, "link": variant.link,
                                     "path": variant.path, "burst": line["burst"], "instructions": instructions})


def named(case: str) -> str:
    """A case's name among the figures."""
    return {"lockstep": "alloc_fill_tx_rx_free"}.get(case, case)


def _cases_in(line: dict):
    if line["case"] != "parts":
        yield named(line["case"]), line["ticks"]
        return
    for part in PARTS:
        yield part, line[part]
    yield "tx_rx", line["tx"] + line["rx"]
