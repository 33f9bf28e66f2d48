# SPDX-License-Identifier: BSD-3-Clause
"""The tables of bench/side_by_side: Pollux, DPDK's drivers and the minimal loop on the same work, in turns in each of a few processes."""

import dataclasses
import json
import pathlib
import statistics
import subprocess

from .errors import LabError

TITLES = {"forward": "forward", "rx": "receive only", "tx": "send only", "empty_poll": "empty poll",
          "forward_checksums": "forward, two checksums requested", "forward_offload": "forward, every offload read",
          "forward_queues": "one thread", "forward_arrivals": "by a seed", "forward_threads": "a thread for each",
          "e1000e_forward": "forward", "e1000e_rx": "receive only", "e1000e_tx": "send only",
          "e1000e_forward_checksums": "forward, two checksums requested",
          **{f"virtio_{ring}_{case}{buffers}": f"{ring} ring{', mergeable' if buffers else ''}: {title}" for ring in ("split", "packed")
             for case, title in (("forward", "forward"), ("rx", "receive only"), ("tx", "send only")) for buffers in ("", "_mergeable")},
          "virtio_split_arrivals": "split ring, by a seed", "virtio_packed_arrivals": "packed ring, by a seed",
          "vmxnet3_forward": "forward", "vmxnet3_rx": "receive only", "vmxnet3_tx": "send only"}
PROCESSES = 5  # each has memory of its own, and its code at another address, on which many cases depend
BUILDS = {"dpdk_packaged": "as packaged", "dpdk_native": "-march=native"}
REMARK = ("Ticks of the time stamp counter a frame (empty poll: a call): the mean of the middle half of short runs, in turns in each of five "
          "processes [least to most]. The factor is DPDK's better build over Pollux in its default burst mode, run by run. The minimal loop does the work of the row on the same rings and nothing else; "
          "SIMD is its variant with the processor's widest instructions, and the last column divides by the faster one.")
VIRTIO_REMARK = ("The virtio driver on a faked device, in the same run. Of DPDK's two builds and of the paths that its virtio driver has for such a ring "
                 "(its default, the one for devices that use buffers in order, and the vectorized one), each on a device that offers what the path "
                 "needs, the fastest counts. The device asks for no doorbells.")
VMXNET3_REMARK = ("The vmxnet3 driver on a faked device, in the same run. DPDK's driver has revision 1, too, and copies frames of up to 128 bytes into a "
                  "ring of the device's to send them, by default.")
E1000E_REMARK = "The e1000e driver on a faked 82574, in the same run, and DPDK's net_e1000_em, which receives with legacy descriptors."
WITHOUT_DPDK = "WITHOUT DPDK, whose source could not be had: only Pollux and the minimal loop were measured."


@dataclasses.dataclass(frozen=True)
class Row:
    """One case: the records of those who were measured, each with its `runs`."""
    title: str
    burst: int
    temperature: str
    queues: int
    ring: int
    ours: dict
    dpdk: dict | None
    minimal: dict | None
    minimal_simd: dict | None

    def factors(self) -> list[float]:
        """DPDK's cycles over ours in each run; empty without DPDK."""
        return [theirs / ours for theirs, ours in zip(self.dpdk["runs"], self.ours["runs"])] if self.dpdk else []


def measure(program: pathlib.Path, core: int, runs: int, seconds: float) -> tuple[list[dict], dict]:
    """Runs side_by_side pinned to one core, in PROCESSES processes of `runs` runs each, of which the first counts instructions. Returns its
    records, with the cycles of all, and its context. Progress is on standard error."""
    command = ["taskset", "-c", str(core), str(program), str(runs)]
    first = _printed_by(command, seconds)
    for _ in range(PROCESSES - 1):
        for record, other in zip(first["records"], _printed_by([*command, "all", "uncounted"], seconds)["records"], strict=True):
            record["cycles"] += other["cycles"]
    return [record_of(one) for one in first["records"]], first["context"]


def _printed_by(command: list[str], seconds: float) -> dict:
    try:
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise LabError(f"'{' '.join(command)}' did not end within {seconds:.0f} s", "is the machine busy? Try --quick") from error
    if ended.returncode != 0:
        raise LabError(f"'{' '.join(command)}' ended with status {ended.returncode}", "see its message above")
    return json.loads(ended.stdout)


def middle(values: list[float]) -> float:
    """The mean of the middle half. Unlike the median it does not jump where a case takes one of two times about equally often."""
    left_out = min((len(values) + 3) // 4, (len(values) - 1) // 2)
    return statistics.mean(sorted(values)[left_out:len(values) - left_out])


def record_of(printed: dict) -> dict:
    """A record in the format of --json, with the cycles of all runs."""
    runs = printed["cycles"]
    record = {name: value for name, value in printed.items() if name != "cycles"}
    return record | {"path": "scalar" if printed["instruction_set"] == "scalar" else "simd", "who": printed["who"].replace("minimal_", "minimal "),
                     "cycles_middle": round(middle(runs), 3), "cycles_min": min(runs), "cycles_max": max(runs), "runs": runs}


def rows_of(records: list[dict], *tables: str) -> list[Row]:
    """The rows of these tables of side_by_side."""
    cases: dict[tuple, list[dict]] = {}
    for record in records:
        if record["table"] in tables:
            cases.setdefault((record["case"], record["burst"], record["where"].removeprefix("native-"), record["queues"],
                              record["ring"]), []).append(record)
    return [_row(*key, sharing) for key, sharing in cases.items()]


def _row(case: str, burst: int, temperature: str, queues: int, ring: int, records: list[dict]) -> Row:
    def of(*who: str) -> list[dict]:
        return [record for record in records if record["who"] in who]

    def simd_first(record: dict) -> bool:
        return record["path"] == "scalar"

    dpdk = min(of(*BUILDS), key=lambda record: record["cycles_middle"], default=None)
    # Where the processor has no SIMD, the default mode is the scalar one. A single frame leaves nothing for SIMD to do.
    scalar, *simd = sorted(of("minimal loop"), key=simd_first, reverse=True) or [None]
    return Row(TITLES.get(case, case), burst, temperature, queues, ring, min(of("pollux"), key=simd_first), dpdk, scalar, simd[0] if simd else None)


def table(rows: list[Row], rival: str = "DPDK's igb", what: str = "case") -> list[list[str]]:
    cells = [[what, "burst", "", "Pollux", "instr.", rival, "instr.", "build", "factor", "minimal loop", "SIMD", "Pollux / minimal"]]
    for row in rows:
        theirs = ["", "", "", ""]
        if row.dpdk:
            build = ", ".join(filter(None, (BUILDS[row.dpdk["who"]], row.dpdk.get("variant"))))
            theirs = [span(row.dpdk), _instructions(row.dpdk), build, factor(row)]
        burst = "" if row.title == TITLES["empty_poll"] else str(row.burst)
        minimal = [loop["cycles_middle"] for loop in (row.minimal, row.minimal_simd) if loop]
        cells.append([row.title, burst, row.temperature, f"{span(row.ours)} {row.ours['instruction_set']}", _instructions(row.ours), *theirs,
                      f"{minimal[0]:.1f}", f"{minimal[1]:.1f}" if row.minimal_simd else "", f"{row.ours['cycles_middle'] / min(minimal):.2f}"])
    return cells


def e1000e_table(records: list[dict]) -> list[list[str]]:
    return table(rows_of(records, "82574"), "DPDK's em", "82574")


def virtio_table(records: list[dict]) -> list[list[str]]:
    return _scalar_table(records, "virtio", "virtio-net")


def vmxnet3_table(records: list[dict]) -> list[list[str]]:
    return _scalar_table(records, "vmxnet3", "vmxnet3")


def _scalar_table(records: list[dict], driver: str, what: str) -> list[list[str]]:
    """Neither driver nor minimal loop has a mode with SIMD there."""
    cells = table(rows_of(records, driver), f"DPDK's {driver}", what)
    simd = cells[0].index("SIMD")
    return [[cell.removesuffix(" scalar") for index, cell in enumerate(line) if index != simd] for line in cells]


def factor(row: Row) -> str:
    factors = row.factors()
    return f"**{middle(factors):.1f}** [{min(factors):.1f} to {max(factors):.1f}]"


def span(record: dict) -> str:
    return f"{record['cycles_middle']:.1f} [{record['cycles_min']:.1f} to {record['cycles_max']:.1f}]"


def _instructions(record: dict) -> str:
    return f"{record['instructions']:.0f}" if "instructions" in record else ""


def replaced(page: str, section: str) -> str | None:
    """The page with `section` between its lines BEGIN and END; None if it has no such lines."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{section}{end}{after}" if end else None


BEGIN, END = "<!-- written by tools/bench -->\n", "<!-- end of what tools/bench wrote -->\n"
