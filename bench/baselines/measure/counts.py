# SPDX-License-Identifier: BSD-3-Clause
"""Counts the instructions per frame over VFIO in the guest. The counts are exact: with QEMU's -icount, the time stamp
counter counts executed instructions."""

import dataclasses

from .figures import Figures
from .guests import bind, guest, lines_of
from .session import Session
from .tell import tell

CASES = ("lockstep", "parts", "forward", "txonly", "empty_poll")
PARTS = ("alloc", "fill", "tx", "rx", "free")
BURSTS = (32, 1)
LINKS = ("static", "shared")
# A multiple of both bursts. With about 100,000 frames, totals are reproducible to some parts in a hundred thousand.
FRAMES = 102_400
SECONDS = 300


@dataclasses.dataclass(frozen=True)
class Variant:
    """An application and its arguments. The guest's processor has AVX2 and no wider SIMD."""
    who: str
    link: str
    path: str
    words: str
    bursts: tuple[int, ...] = BURSTS


def variants(quick: bool) -> list[Variant]:
    """The variants in the order of their runs. Variants of Pollux and DPDK with the same linking are neighbours."""
    cases = " ".join(f"--case {case}" for case in CASES)
    chosen = [
        Variant("pollux", "static", "simd", f"--burst-mode avx2 {cases}"),
        Variant("dpdk", "static", "scalar", cases),
        Variant("pollux", "static", "simd", "--burst-mode avx2 --case fused", tuple(sorted(BURSTS))),
        # In programs of their own: DPDK's ports have the offloads only for this case.
        Variant("pollux", "static", "simd", "--burst-mode avx2 --case forward_checksums"),
        Variant("dpdk", "static", "scalar", "--case forward_checksums"),
        Variant("pollux", "static", "scalar", "--burst-mode scalar --case forward_checksums"),
        Variant("pollux", "shared", "simd", f"--burst-mode avx2 {cases}"),
        Variant("dpdk", "shared", "scalar", cases),
        Variant("pollux", "static", "scalar", f"--burst-mode scalar {cases}"),
    ]
    return chosen[:6] if quick else chosen


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
    """The name of a case in the figures."""
    return {"lockstep": "alloc_fill_tx_rx_free"}.get(case, case)


def _cases_in(line: dict):
    if line["case"] != "parts":
        yield named(line["case"]), line["ticks"]
        return
    for part in PARTS:
        yield part, line[part]
    yield "tx_rx", line["tx"] + line["rx"]
