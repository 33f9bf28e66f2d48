# SPDX-License-Identifier: BSD-3-Clause
"""The tools that look at a running program, on cards through VFIO."""

import json
import pathlib
import tempfile

from scapy.utils import RawPcapNgReader

from cases.boots import A, B, LAB
from cases.forwarding import pass_frames, require_counts
from pollux_lab import frames
from pollux_lab.cases import Fixture, case, require

CAPTURED = 100


@case(LAB)
def tools_show_a_running_program(fixture: Fixture) -> None:
    guest = fixture.guest
    fixture.bind(A, B)
    with fixture.l2fwd(A, B, options="--telemetry") as l2fwd:
        guest.check("await 10 sh -c 'pollux ports | grep -q plx1'")
        ports = json.loads(guest.check("pollux ports --json"))
        require([(port["name"], port["uri"], port["driver"]) for port in ports] == [("plx0", fixture.uri(A), "igb"), ("plx1", fixture.uri(B), "igb")],
                f"{ports}")
        guest.check(f"spawn capture pollux capture plx0 -c {CAPTURED} -w /tmp/captured.pcapng; await 10 test -s /tmp/captured.pcapng")
        passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), CAPTURED)
        guest.check("await 20 test -s /run/capture.status && [ $(cat /run/capture.status) = 0 ] || fail $(cat /run/capture.err)", 30)
        stats = json.loads(guest.check("pollux stats plx0 --json"))
        require(stats["account"]["holds"], f"{stats['account']}")
        page = guest.check("pollux top --batch --updates 2", 60)
        for part in ("plx0", "plx1", "l2fwd"):
            require(part in page, f"'{part}' is not in\n{page}")
        require_counts(l2fwd.stop(), passed)
    with tempfile.TemporaryDirectory(prefix="pollux-observation-") as folder:
        file = pathlib.Path(folder, "captured.pcapng")
        file.write_bytes(guest.read("/tmp/captured.pcapng"))
        captured = [frame for frame, _ in RawPcapNgReader(str(file))]
    require(len(captured) == CAPTURED, f"{len(captured)} frames were captured")
