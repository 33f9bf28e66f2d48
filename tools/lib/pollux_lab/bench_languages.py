# SPDX-License-Identifier: BSD-3-Clause
"""What Pollux costs from each language that it has an interface for: the programs of bench/languages, in turns."""

import os
import pathlib
import subprocess

from .bench_side import middle
from .errors import LabError

ROUNDS = 5
LANGUAGES = ("C++", "C", "Rust", "Python")
CASES = [(32, "keep"), (1, "keep"), (32, "swap"), (1, "swap")]
REMARK = ("Ticks of processor time a frame, in the same run: from a port that makes frames of 60 bytes to one that discards them, which needs no "
          "card and costs the same in each language. The mean of the middle half of five runs of a program, in turns [least to most]. Kept: the "
          "program does not look at the frames; swapped: it swaps the MAC addresses of each.")
SOCKETS = {"scapy_dissected": "scapy's own socket, `recv`", "scapy_raw": "scapy's own socket, `recv_raw`",
           "af_packet": "a socket of AF_PACKET, `recv`", "pollux_dissected": "`PolluxSocket`, `recv`",
           "pollux_raw": "`PolluxSocket`, `recv_raw`", "pollux_read": "`rx.read(32)` of Pollux"}
SOCKETS_REMARK = ("Processor time of the receiver, kernel included, for frames of 60 bytes that come 32 at a time; a byte of each is read. `recv` of "
                  "scapy and of `PolluxSocket` makes scapy's packet of each. Five runs in turns.")


def programs(build: pathlib.Path, root: pathlib.Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """For each language its command and the variables it needs; those that were not built are missing."""
    bench = build / "bench"
    found = {"C++": (bench / "forward_in_cpp", {}), "C": (bench / "forward_in_c", {}),
             "Rust": (bench / "rust/release/examples/forward_cost", {"LD_LIBRARY_PATH": str(build / "lib")})}
    commands = {name: ([str(program)], words) for name, (program, words) in found.items() if program.exists()}
    if next((build / "python/pollux").glob("_pollux*.so"), None) is not None:
        commands["Python"] = (["/usr/bin/python3", str(root / "bench/languages/forward.py")], {"PYTHONPATH": str(build / "python")})
    return commands


def measure(commands: dict[str, tuple[list[str], dict[str, str]]], core: int, ticks_a_second: float) -> list[dict]:
    """A record for each case and language."""
    runs: dict[tuple[int, str, str], list[float]] = {(*case, name): [] for case in CASES for name in commands}
    for _ in range(ROUNDS):
        for burst, what, name in runs:
            command, words = commands[name]
            nanoseconds = float(_printed(["taskset", "-c", str(core), *command, str(burst), what], words))
            runs[burst, what, name].append(nanoseconds * ticks_a_second / 1e9)
    return [_record(f"forward_{what}", name, ticks) | {"burst": burst} for (burst, what, name), ticks in runs.items()]


def measure_sockets(command: list[str], words: dict[str, str], core: int, ticks_a_second: float) -> list[dict]:
    """A record for each way to receive; `command` prints a line for each, NAME MICROSECONDS."""
    runs: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for line in _printed(["taskset", "-c", str(core), *command], words).splitlines():
            name, microseconds = line.split()
            runs.setdefault(name, []).append(float(microseconds) * ticks_a_second / 1e6)
    return [_record("receive_veth", name, ticks) for name, ticks in runs.items()]


def _record(case: str, who: str, ticks: list[float]) -> dict:
    return {"table": "languages", "case": case, "who": who, "cycles_middle": round(middle(ticks), 3), "cycles_min": min(ticks),
            "cycles_max": max(ticks), "runs": ticks}


def _printed(command: list[str], words: dict[str, str]) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, env=os.environ | words)
    if ended.returncode != 0:
        raise LabError(f"'{' '.join(command)}' ended with status {ended.returncode}", "see its message", ended.stderr[-2000:])
    return ended.stdout


def _span(record: dict) -> str:
    low, most = f"{record['cycles_min']:,.0f}", f"{record['cycles_max']:,.0f}"
    return f"{record['cycles_middle']:,.0f} [{low} to {most}]"


def table(records: list[dict]) -> list[list[str]]:
    """The heading alone without measurements."""
    cells = [["forward from", *[f"{'kept' if what == 'keep' else 'swapped'}, burst {burst}" for burst, what in CASES]]]
    of = {(record["who"], record["burst"], record["case"]): record for record in records if "burst" in record}
    for name in dict.fromkeys(who for who, _, _ in of):
        cells.append([name, *[_span(of[name, burst, f"forward_{what}"]) for burst, what in CASES]])
    return cells


def sockets_table(records: list[dict]) -> list[list[str]]:
    """The heading alone without measurements."""
    cells = [["receive from a veth in Python", "ticks a frame", "to `rx.read`"]]
    of = {record["who"]: record for record in records if record["case"] == "receive_veth"}
    for name, title in SOCKETS.items():
        if name in of:
            cells.append([title, _span(of[name]), f"{of[name]['cycles_middle'] / of['pollux_read']['cycles_middle']:.1f}"])
    return cells
