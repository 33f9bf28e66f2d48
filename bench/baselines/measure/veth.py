# SPDX-License-Identifier: BSD-3-Clause
"""Measures the kernel's packet interfaces, and DPDK's and Pollux's ports on them, over a pair of virtual interfaces, on this machine's
own processor. The processor time includes the kernel's for both ends, as one process has both. The clock's includes what others do."""

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Iterator

from pollux_lab import own_network
from pollux_lab.errors import LabError
from pollux_lab.own_network import run

from . import native
from .counts import BURSTS
from .figures import Figures
from .session import Session
from .tell import tell

FRAMES = 200_000
ENDS = ("plxv0", "plxv1")
TAPS = ("plxt0", "plxt1")
KERNEL = ("af_packet", "af_packet_ring", "af_xdp")
CASES = ("a second of the processor", "a second of the clock")
SECONDS = 300


def measure(session: Session, figures: Figures) -> None:
    kernel_app, dpdk_app, pollux_app = session.programs("kernel_app", "dpdk_app_veth", "pollux_app_static")
    commands = {f"kernel_{kind}": [kernel_app, kind, *ENDS] for kind in KERNEL}
    commands["dpdk"] = [dpdk_app, *(f"net_af_xdp{number},iface={end}" for number, end in enumerate(ENDS))]
    commands["pollux"] = [pollux_app, *(f"xdp:{end}?rule=all,force" for end in ENDS)]
    commands["pollux_tap"] = [pollux_app, *(f"tap:{tap}" for tap in TAPS)]
    with native.huge_pages(), pair():
        repetitions = 3 if session.quick else 7
        for repetition in range(repetitions):
            tell(f"[veth] repetition {repetition + 1} of {repetitions}")
            for burst in BURSTS:
                for who, command in commands.items():
                    # A start costs time, too, and the same each time.
                    long, short = (_seconds(command, burst, frames) for frames in (2 * FRAMES, FRAMES))
                    for case, after, before in zip(CASES, long, short, strict=True):
                        figures.add({"where": "veth", "case": case, "who": who, "burst": burst, "mpps": FRAMES / (after - before) / 1e6})


@contextlib.contextmanager
def pair() -> Iterator[None]:
    """A pair of interfaces in a network namespace of this process's own, whose kernel says nothing by itself; and two TAPs,
    of which the kernel passes what the first one's program sends to the second one."""
    own_network.enter()
    run("ip", "link", "add", ENDS[0], "type", "veth", "peer", "name", ENDS[1])
    for tap in TAPS:
        run("ip", "tuntap", "add", "dev", tap, "mode", "tap", "vnet_hdr")
    run("tc", "qdisc", "add", "dev", TAPS[0], "clsact")
    run("tc", "filter", "add", "dev", TAPS[0], "ingress", "protocol", "all", "u32", "match", "u32", "0", "0",
        "action", "mirred", "egress", "redirect", "dev", TAPS[1])
    for end in (*ENDS, *TAPS):
        run("ip", "link", "set", end, "up")
    time.sleep(1)  # until both have a link
    yield
    run("ip", "link", "del", ENDS[0])


def _seconds(command: list, burst: int, frames: int) -> tuple[float, float]:
    """What a run takes, of the processor and of the clock."""
    words = [str(command[0]), *command[1:], "--burst", str(burst), "--frames", str(frames), "--case", "lockstep"]
    time.sleep(0.2)  # the kernel keeps the queues of an earlier program for a moment
    began = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(["taskset", "--cpu-list", str(max(os.sched_getaffinity(0))), *words], capture_output=True, text=True,
                          timeout=SECONDS)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    elapsed = time.monotonic() - began
    if done.returncode != 0:
        raise LabError(f"{command[0]} ended with status {done.returncode}", "see its output", done.stderr[-2000:])
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, elapsed
