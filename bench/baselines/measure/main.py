# SPDX-License-Identifier: BSD-3-Clause
"""Measures Pollux and its baselines on the same work, and prints the figures side by side."""

import argparse
import pathlib
import sys

from pollux_lab.commands import Parser
from pollux_lab.errors import LabError
from pollux_lab.guest import end_on_signals
from pollux_lab.kernel import kernel_at

from . import counts, kernel, native, rates, veth, virtio, zero_copy
from .figures import OURS, Figures, save, table
from .session import Session

CASES = {
    "counts": (counts.measure, "instructions", "instructions a frame, over VFIO in the guest, counted by QEMU"),
    "native": (native.measure, "cycles", "cycles an object, on this machine's own processor"),
    "rates": (rates.measure, "mpps", "million frames a second, over VFIO in the guest, the emulated card included"),
    "virtio": (virtio.measure, "mpps", "million frames a second on QEMU's virtio-net, over VFIO in the guest: emulated hardware"),
    "kernel": (kernel.measure, "instructions", "instructions a frame through the kernel's igb in the guest, counted by QEMU"),
    "veth": (veth.measure, "mpps", "million frames over a pair of virtual interfaces, the kernel's work included: a second of the processor, and of the clock"),
    "zero_copy": (zero_copy.measure, "instructions", "instructions a frame by AF_XDP on the kernel's igb in the guest, counted by QEMU, and million frames a second of its clock"),
}


def main() -> int:
    options = arguments()
    if options.check_arguments:
        return 0
    end_on_signals()
    session = Session(options.build, kernel_at(options.kernel), options.quick)
    measured: list[dict] = []
    for name in options.only or CASES:
        measure, quantity, title = CASES[name]
        figures = Figures()
        measure(session, figures)
        rows = figures.rows()
        print(table(title, rows + references(rows, measured), quantity), flush=True)
        if options.json:
            save(options.json, rows)
        measured += rows
    return 0


def references(rows: list[dict], measured: list[dict]) -> list[dict]:
    """If `rows` contain no figures of Pollux: those that were measured before for the same cases."""
    if any(row["who"] == OURS for row in rows):
        return []
    wanted = {(row["where"], row["case"]) for row in rows}
    return [row for row in measured
            if row["who"] == OURS and row.get("link") == "static" and (row["where"], row["case"]) in wanted]


def arguments() -> argparse.Namespace:
    parser = Parser(prog="bench/baselines/run", description=__doc__)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="append the figures to the list in that file")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and variants")
    parser.add_argument("--only", action="append", choices=CASES, metavar="CASE", help=f"one of: {', '.join(CASES)}")
    parser.add_argument("--build", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--kernel", help=argparse.SUPPRESS)
    parser.add_argument("--check-arguments", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"bench/baselines/run: error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
